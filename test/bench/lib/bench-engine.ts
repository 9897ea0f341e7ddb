import { connect } from "node:net";
import Docker from "dockerode";
import { buildTaskImage } from "../../support/images.ts";
import { openPrivateEngine } from "../../support/private-engine.ts";

/** An engine as a user has it: with a default bridge and its address translation, and one small task image. */
export interface BenchEngine extends AsyncDisposable {
  readonly host: string;
  readonly docker: Docker;
  readonly image: string;
}

/** Starts one of our own. Needs root, Debian's `docker.io` and `iproute2`. */
export async function openBenchEngine(): Promise<BenchEngine> {
  const engine = await openPrivateEngine({ iptables: true });
  try {
    const host = `unix://${engine.socketPath}`;
    const docker = new Docker({ socketPath: engine.socketPath });
    const main = "echo meca-init-done; exec nc -ll -p 8080 -e /handler";
    const image = await buildTaskImage(docker, "bench", { main });
    return { host, docker, image, [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose]() };
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

/** Resolves once something accepts there; each try is short, as an unanswered one would cost a second. */
export async function untilAccepts(host: string, port: number): Promise<void> {
  for (let tries = 0; tries < 20_000; tries += 1) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port, timeout: 20 });
      const done = (isSo: boolean): void => {
        socket.destroy();
        resolve(isSo);
      };
      socket.once("connect", () => done(true));
      socket.once("error", () => setTimeout(done, 1, false));
      socket.once("timeout", () => done(false));
    });
    if (isOpen) return;
  }
  throw new Error(`nothing accepts at ${host}:${port}`);
}
