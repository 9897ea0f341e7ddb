/** A path of the engine's host that the operator has written into the configuration. No request can make one. */
export type OperatorPath = string & { readonly __brand: "OperatorPath" };

/** What an SGX task gets of its host, and nothing else of it. */
export interface SgxParts {
  readonly device: OperatorPath;
  /** The folder with the socket of the AESM service, through which an enclave's quotes are signed. */
  readonly aesmFolder: OperatorPath;
}

/** Where tasks find them (`contracts/meca.md` section 4). */
export const DEVICE_IN_TASK = "/dev/sgx/enclave";
export const AESM_IN_TASK = "/var/run/aesmd";

/** @see Docker Engine API, `HostConfig.Devices`. */
export interface SgxDevice {
  readonly PathOnHost: OperatorPath;
  readonly PathInContainer: typeof DEVICE_IN_TASK;
  readonly CgroupPermissions: "mrw";
}

/**
 * Read-only: a socket can be connected to all the same, and no task can put another one in its place.
 *
 * @see Docker Engine API, `HostConfig.Mounts`; unlike a bind it makes no folder that is missing on the host.
 */
export interface AesmMount {
  readonly Type: "bind";
  readonly Source: OperatorPath;
  readonly Target: typeof AESM_IN_TASK;
  readonly ReadOnly: true;
}

export function sgxRequest(parts: SgxParts | undefined): {
  readonly Devices?: readonly [SgxDevice];
  readonly Mounts?: readonly [AesmMount];
} {
  if (parts === undefined) return {};
  const { device, aesmFolder } = parts;
  return {
    Devices: [{ PathOnHost: device, PathInContainer: DEVICE_IN_TASK, CgroupPermissions: "mrw" }],
    Mounts: [{ Type: "bind", Source: aesmFolder, Target: AESM_IN_TASK, ReadOnly: true }],
  };
}

/** What engines say when one of the two is not on their host. */
const REFUSALS = /adding custom device|gathering device information|bind source path does not exist/i;

/** Why the engine could not hand them over, in its words; `undefined` if they are not the reason. */
export function sgxRefused(isSgx: boolean, engineSaid: string): string | undefined {
  if (!isSgx || !REFUSALS.test(engineSaid)) return undefined;
  return `the engine's host lacks sgx.sgx_device or sgx.aesmd_path (${engineSaid})`;
}
