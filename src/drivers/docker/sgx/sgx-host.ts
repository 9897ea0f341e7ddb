import { readdirSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import type { ClassReport } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { OperatorPath, SgxParts } from "./sgx-parts.ts";

/** What the operator's configuration says of SGX. */
export interface SgxSettings {
  readonly isEnabled: boolean;
  /** Paths on the engine's host. */
  readonly device: string;
  readonly aesmFolder: string;
}

export interface SgxHostOptions {
  readonly settings: SgxSettings;
  /** Whether the daemon sees the engine's host as its own: not from inside a container, nor from another machine. */
  readonly seesHost: boolean;
  /** The engine's socket, which no task may ever be near. */
  readonly engineSocket: string | undefined;
}

const UNSEEN =
  "the daemon cannot see the engine's host, so that sgx.sgx_device and sgx.aesmd_path are only tried when a task starts";
/** The name that the AESM service gives its socket. */
const AESM_SOCKET = "aesm.socket";

/** SGX as this host has it. Looked at anew for each question, since devices and services come and go. */
export class SgxHost {
  readonly #options: SgxHostOptions;

  constructor(options: SgxHostOptions) {
    this.#options = options;
  }

  /**
   * What the class has besides a container, which it runs in.
   *
   * @param container the report of that class: an enclave's container is no weaker.
   */
  report(container: ClassReport | undefined): ClassReport {
    const rest = { isolation: "sgx", runtime: container?.runtime, sight: container?.sight } as const;
    const faults = this.#faults();
    if (faults.length > 0) return { ...rest, state: "unusable", reasons: faults };
    if (container === undefined || container.state === "unusable") {
      const why = container?.reasons.join("; ") ?? "there is none";
      return { ...rest, state: "unusable", reasons: [`its container cannot be used: ${why}`] };
    }
    return { ...rest, state: container.state, reasons: this.#remarks() };
  }

  /** What a task is given. @throws {@link ExecutorError} SGX_UNAVAILABLE, naming the setting and the path. */
  parts(): SgxParts {
    const faults = this.#faults();
    if (faults.length > 0) throw new ExecutorError("SGX_UNAVAILABLE", { reason: faults.join("; ") });
    const { device, aesmFolder } = this.#options.settings;
    return { device: device as OperatorPath, aesmFolder: aesmFolder as OperatorPath };
  }

  #faults(): readonly string[] {
    const { settings, seesHost } = this.#options;
    if (!settings.isEnabled) return ["sgx.enable is off"];
    const { device, aesmFolder } = settings;
    const faults = [
      fault("sgx.sgx_device", device, "a device", (stats) => stats.isCharacterDevice(), seesHost),
    ];
    faults.push(fault("sgx.aesmd_path", aesmFolder, "a folder", (stats) => stats.isDirectory(), seesHost));
    if (this.#holdsEngineSocket()) {
      faults.push(`sgx.aesmd_path: ${aesmFolder} holds the engine's socket, which no task may have`);
    }
    return faults.filter((text) => text !== undefined);
  }

  #holdsEngineSocket(): boolean {
    const { engineSocket, settings } = this.#options;
    if (engineSocket === undefined) return false;
    const folder = resolve(settings.aesmFolder);
    return folder === "/" || resolve(engineSocket).startsWith(`${folder}/`);
  }

  /** What is missing although tasks start. */
  #remarks(): readonly string[] {
    const { seesHost, settings } = this.#options;
    if (!seesHost) return [UNSEEN];
    const folder = settings.aesmFolder;
    return hasEntry(folder, AESM_SOCKET)
      ? []
      : [
          `sgx.aesmd_path: ${folder} holds no ${AESM_SOCKET}; is aesmd running? Tasks cannot be attested without it`,
        ];
  }
}

type Stats = ReturnType<typeof statSync>;

function fault(
  setting: string,
  path: string,
  kind: string,
  isKind: (stats: NonNullable<Stats>) => boolean,
  seesHost: boolean,
): string | undefined {
  if (!isAbsolute(path)) return `${setting}: ${path === "" ? "it is empty" : `${path} is no absolute path`}`;
  if (!seesHost) return undefined;
  const stats = look(path);
  if (stats === undefined) return `${setting}: ${path} does not exist on this host`;
  return isKind(stats) ? undefined : `${setting}: ${path} is not ${kind}`;
}

function look(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    // What may not be looked at is as good as missing.
    return undefined;
  }
}

function hasEntry(folder: string, name: string): boolean {
  try {
    return readdirSync(folder).includes(name);
  } catch {
    return false;
  }
}
