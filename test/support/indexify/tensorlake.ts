import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runProgram } from "../run-program.ts";
import { withLock } from "../with-lock.ts";

/** The last releases speak another protocol (`contracts/indexify.md` 1.3). */
export const TENSORLAKE = "tensorlake==0.4.0";

const here = fileURLToPath(new URL(".", import.meta.url));
const environment = fileURLToPath(new URL("../../../.cache/tensorlake-0.4.0", import.meta.url));

export interface Tensorlake {
  /** The real worker. */
  readonly functionExecutor: string;
  readonly python: string;
  /** The ZIP of the test application, as the SDK deploys it. */
  readonly appZip: string;
}

let installing: Promise<Tensorlake | string> | undefined;

/** The pinned worker in a Python environment of its own, made once; or why there is none. */
export function openTensorlake(): Promise<Tensorlake | string> {
  if (installing === undefined) {
    mkdirSync(join(environment, ".."), { recursive: true });
    installing = withLock(`${environment}.lock`, install);
  }
  return installing;
}

/** The same. @throws an error that says why there is none. */
export async function tensorlakeOrThrow(): Promise<Tensorlake> {
  const tensorlake = await openTensorlake();
  if (typeof tensorlake === "string") throw new Error(tensorlake);
  return tensorlake;
}

async function install(): Promise<Tensorlake | string> {
  const python = join(environment, "bin/python");
  const appZip = join(environment, "app.zip");
  if (!existsSync(join(environment, ".complete"))) {
    for (const argv of [
      ["python3", "-m", "venv", "--clear", environment],
      [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TENSORLAKE],
      ["touch", join(environment, ".complete")],
    ] as const) {
      const { code, stderr } = await runProgram(argv[0], argv.slice(1), { timeoutMs: 300_000 });
      if (code !== 0) return `${TENSORLAKE} could not be installed: ${stderr.slice(-300)}`;
    }
  }
  const source = join(here, "app/app.py");
  // Each ZIP has a digest of its own: it is not replaced under another test that uses it.
  if (!existsSync(appZip) || statSync(appZip).mtimeMs < statSync(source).mtimeMs) {
    const fresh = `${appZip}.${process.pid}`;
    const argv = [join(here, "zip_app.py"), source, fresh];
    const zipped = await runProgram(python, argv, { timeoutMs: 60_000 });
    if (zipped.code !== 0) return `the test application could not be packed: ${zipped.stderr.slice(-300)}`;
    renameSync(fresh, appZip);
  }
  return { functionExecutor: join(environment, "bin/function-executor"), python, appZip };
}
