/** What `hearth doctor` finds of the Indexify door: each part that is missing takes only what needs it. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Finding } from "./cli/index.ts";
import type { Config } from "./config/index.ts";
import { ExecutorError } from "./core/index.ts";
import { findWorkerProgram } from "./doors/indexify/worker/launch-worker.ts";
import { INSTALL, installedVersion, isSpoken, SPOKEN } from "./doors/indexify/worker/worker-versions.ts";
import { readServerChannel } from "./open-indexify-inputs.ts";

const SERVER_MS = 3_000;

/** True of every worker of the process driver, whatever walls this host has for tasks. */
const WALLS_FINDING: Finding = {
  area: "isolate",
  state: "limited",
  text:
    "Indexify functions run as the daemon's own user, without walls: they reach its files, the key of its receipts, " +
    "its environment and its API",
  advice: "Take the docker driver for functions of strangers.",
};

export interface IndexifyScene {
  /** Whether workers would be containers. */
  readonly hasContainers: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Nothing where the door stays shut. */
export async function indexifyFindings(
  { indexify }: Pick<Config, "indexify">,
  { hasContainers, env }: IndexifyScene,
): Promise<Finding[]> {
  if (indexify.server_addr === "") return [];
  return [
    await serverFinding(indexify),
    ...(hasContainers ? [imageFinding(indexify)] : [await programFinding(indexify, env), WALLS_FINDING]),
    cloudFinding(env),
  ];
}

async function serverFinding(indexify: Config["indexify"]): Promise<Finding> {
  const { server_addr: url } = indexify;
  try {
    const { address } = await readServerChannel(indexify);
    const trouble = await tryConnect(address);
    if (trouble === undefined)
      return { area: "reach", state: "ok", text: `the Indexify server accepts connections at ${url}` };
    const advice = "It is waited for: start it, or set indexify.server_addr to its gRPC port.";
    return { area: "reach", state: "missing", text: `no Indexify server at ${url}: ${trouble}`, advice };
  } catch (error) {
    return { area: "reach", state: "broken", text: ExecutorError.from(error).message };
  }
}

function imageFinding({ image }: Config["indexify"]): Finding {
  if (image !== "")
    return { area: "reach", state: "ok", text: `Indexify functions run in containers of ${image}` };
  const advice = "Set indexify.image to an image with `pip install tensorlake==0.4.0` in it.";
  const text = "Indexify functions have no image, so that each of them fails; sandboxes bring their own";
  return { area: "reach", state: "missing", text, advice };
}

async function programFinding(
  { function_executor: program }: Config["indexify"],
  environment: IndexifyScene["env"],
): Promise<Finding> {
  try {
    const found = await findWorkerProgram({ program, environment });
    const version = await installedVersion(found);
    if (version !== undefined && !isSpoken(version)) return unspokenFinding(found, version);
    const release = version === undefined ? "" : ` (tensorlake ${version})`;
    return { area: "reach", state: "ok", text: `Indexify functions run in ${found}${release}` };
  } catch {
    const advice = `${INSTALL}, or set indexify.function_executor to its path.`;
    const text = `${program} is not on the PATH, so that each Indexify function fails; all else runs`;
    return { area: "reach", state: "missing", text, advice };
  }
}

function unspokenFinding(found: string, version: string): Finding {
  const text = `${found} is of tensorlake ${version}, which speaks another protocol, so that each Indexify function fails; all else runs`;
  return { area: "reach", state: "missing", text, advice: `${SPOKEN} is needed: ${INSTALL}` };
}

/** The usual places; a host's own role (instance metadata) cannot be told from here without asking the network. */
function cloudFinding(env: IndexifyScene["env"]): Finding {
  const home = env["HOME"] ?? "";
  const files = [
    env["AWS_SHARED_CREDENTIALS_FILE"] ?? join(home, ".aws", "credentials"),
    env["AWS_CONFIG_FILE"] ?? join(home, ".aws", "config"),
  ];
  const names = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
  ];
  const found = [
    ...names.filter((name) => (env[name] ?? "") !== ""),
    ...files.filter((file) => existsSync(file)),
  ];
  if (found[0] !== undefined)
    return {
      area: "reach",
      state: "ok",
      text: `s3:// blobs of Indexify are read with what ${found[0]} says`,
    };
  const text =
    "there are no AWS settings: unless this host has a role of its own, s3:// blobs fail; file:// ones do not";
  const advice = "Set AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials.";
  return { area: "reach", state: "limited", text, advice };
}

/** @returns why there is no connection; `undefined` when there is. */
function tryConnect(address: string): Promise<string | undefined> {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[|\]$/g, "");
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(address.slice(at + 1)), timeout: SERVER_MS });
    const end = (trouble: string | undefined): void => {
      socket.destroy();
      resolve(trouble);
    };
    socket.once("connect", () => end(undefined));
    // After a time in which this process was kept from running, what has come is heard first.
    socket.once("timeout", () => setImmediate(() => end("it does not answer")));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}
