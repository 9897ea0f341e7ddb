import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { poll } from "./poll.ts";

/** An image registry on a loopback port, which engines take without TLS. */
export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:<port>`, as it stands in image names. */
  readonly host: string;
}

/** Why no registry can run here; `undefined` if one can. */
export function whyNoRegistry(): string | undefined {
  return existsSync("/usr/bin/docker-registry") ? undefined : "docker-registry is not installed";
}

/** Starts an empty registry and waits until it answers. */
export async function openRegistry(): Promise<Registry> {
  const root = await mkdtemp(join(tmpdir(), "hr-"));
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(root, "config.json");
  // The configuration is YAML, and JSON is YAML.
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: "error" },
      storage: { filesystem: { rootdirectory: join(root, "data") }, delete: { enabled: true } },
      http: { addr: host },
    }),
  );
  const child = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
  await poll("the registry answers", () => answers(child, host));
  return {
    host,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, "exit");
        child.kill("SIGTERM");
        await exited;
      }
      await rm(root, { recursive: true, force: true });
    },
  };
}

function answers(child: ChildProcess, host: string): Promise<true | string> {
  if (child.exitCode !== null)
    return Promise.reject(new Error(`docker-registry ended with ${child.exitCode}`));
  return new Promise((resolve) => {
    const call = request(`http://${host}/v2/`, (reply) => {
      reply.resume();
      reply.on("end", () => resolve(reply.statusCode === 200 ? true : `status ${reply.statusCode ?? 0}`));
    });
    call.on("error", (error) => resolve(error.message));
    call.end();
  });
}
