/** The process entry: picks the command, and hands it the parts that it may not know. The daemon is loaded only for `serve`. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Parts, SettingsInput } from "./cli/index.ts";
import { processIo, runCli } from "./cli/index.ts";
import type { LoadOptions } from "./config/index.ts";
import { controlAddress } from "./std/control-address.ts";

const EXIT_GRACE_MS = 1000;
const io = processIo(process.env);

const parts: Parts = {
  version: version(),
  async serve(input) {
    const { loadConfig, printFault } = await import("./config/index.ts");
    const { loaded, faults } = loadConfig(loadOptions(input));
    if (loaded === undefined) return refuse(faults.map(printFault));
    const { serve } = await import("./serve.ts");
    const code = await serve(loaded, {
      version: version(),
      reload() {
        const fresh = loadConfig(loadOptions(input));
        return fresh.loaded ?? fresh.faults.map(printFault);
      },
    });
    // A socket or timer that somebody forgot must not keep a stopped daemon alive; what is written still goes out.
    setTimeout(() => process.exit(code), EXIT_GRACE_MS).unref();
    return code;
  },
  async api(input) {
    const { loadConfig, printFault } = await import("./config/index.ts");
    const { loaded, faults } = loadConfig(loadOptions(input));
    if (loaded === undefined) return refuse(faults.map(printFault));
    const { serveApi } = await import("./serve-api.ts");
    const code = await serveApi(loaded);
    setTimeout(() => process.exit(code), EXIT_GRACE_MS).unref();
    return code;
  },
  async settings() {
    const config = await import("./config/index.ts");
    return {
      flags: config.listFlags(),
      candidates: config.fileCandidates(process.env, process.cwd()),
      read(input) {
        const { loaded, faults } = config.loadConfig(loadOptions(input));
        if (loaded === undefined) return { faults: faults.map(config.printFault) };
        return { file: loaded.file, entries: config.describeConfig(loaded), warnings: loaded.warnings };
      },
    };
  },
  async diagnose(input, signal) {
    const { loadConfig, printFault } = await import("./config/index.ts");
    const { diagnose } = await import("./diagnose.ts");
    const { loaded, faults } = loadConfig(loadOptions(input));
    return await diagnose(loaded, faults.map(printFault), signal);
  },
  async openapi() {
    const { describeApi } = await import("./contract/v1/openapi.ts");
    return describeApi(version());
  },
};

// Set rather than `process.exit`: what is on its way out still goes out.
process.exitCode = await runCli({
  argv: process.argv.slice(2),
  io,
  env: process.env,
  cwd: process.cwd(),
  parts,
});

function refuse(faults: readonly string[]): number {
  io.err(faults.join("\n"));
  io.err(
    `hearth: ${faults.length === 1 ? "a setting is" : `${faults.length} settings are`} wrong; nothing was started`,
  );
  return 2;
}

function loadOptions({ configFile, dialect, flags }: SettingsInput): LoadOptions {
  return {
    env: process.env,
    cwd: process.cwd(),
    isRoot: process.getuid?.() === 0,
    configFile,
    dialect,
    flags,
    // Our image says so itself; guessing from the outside would also hit other people's containers.
    controlAddress: process.env["HEARTH_IN_CONTAINER"] === "1" ? controlAddress() : undefined,
    exampleDirs: [fileURLToPath(new URL("../examples", import.meta.url))],
  };
}

/** Both `src/main.ts` and `dist/hearth.mjs` lie one folder below `package.json`. */
function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
