import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { NetworkPolicy, NetworkReport } from "../../src/core/index.ts";
import type { ProcessDriverOptions, ProcessReach } from "../../src/drivers/process/index.ts";
import type { WalledHost } from "./walled-host.ts";

const LIFE = fileURLToPath(new URL("network-life.ts", import.meta.url));
const PATIENCE_MS = 60_000;

export type Service = { readonly host: string; readonly port: number } | { readonly path: string };

export interface LifeSettings {
  readonly driver: ProcessDriverOptions;
  /** What listens on the host beside the driver. */
  readonly services: readonly Service[];
}

export type Wish =
  | { readonly type: "start"; readonly image: string; readonly network: NetworkPolicy | "default" }
  | { readonly type: "look"; readonly program: string; readonly where: number | "host" }
  | { readonly type: "endpoint"; readonly sandbox: number }
  | { readonly type: "facts" | "sweep" | "close" };

export interface LifeFacts {
  readonly networks: NetworkReport;
  readonly reach: ProcessReach;
  readonly events: readonly { readonly event: string; readonly fields: Record<string, unknown> }[];
}

/** A driver's life in a process of its own on a walled host. */
export interface NetworkLife extends AsyncDisposable {
  ask(wish: Wish): Promise<unknown>;
  facts(): Promise<LifeFacts>;
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>;
}

export async function beginNetworkLife(host: WalledHost, settings: LifeSettings): Promise<NetworkLife> {
  const node = [process.execPath, "--import", "tsx", LIFE, JSON.stringify(settings)];
  const [program = "", ...args] = [...host.entrance, ...node];
  const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const exited = once(child, "exit");
  const answer = async (): Promise<unknown> => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const ended = exited.then(() => Promise.reject(new Error("the life has ended")));
    const [told] = (await Promise.race([once(child, "message", { signal }), ended])) as [Told];
    if (told.error !== undefined) throw Object.assign(new Error(told.error.message), told.error);
    return told.value;
  };
  const ask = async (wish: Wish): Promise<unknown> => {
    const answered = answer();
    child.send(wish);
    return await answered;
  };
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
  };
  const life: NetworkLife = {
    ask,
    facts: async () => (await ask({ type: "facts" })) as LifeFacts,
    kill,
    [Symbol.asyncDispose]: kill,
  };
  try {
    await answer();
    return life;
  } catch (error) {
    await kill();
    throw error;
  }
}

interface Told {
  readonly value?: unknown;
  readonly error?: { readonly code?: string; readonly message: string; readonly facts?: unknown };
}
