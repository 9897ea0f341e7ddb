import type { TaskSpec } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { refuseMissingCards } from "./cards.ts";
import type { ProcessWorld } from "./world.ts";

/** Refuses, before anything is made, what this driver or host does not have. @throws {@link ExecutorError}. */
export function refuseWhatIsNotHere(
  world: ProcessWorld,
  spec: { readonly task: TaskSpec; readonly gpuIds: readonly string[] },
): void {
  refuseClass(spec.task);
  refuseMissingCards(spec);
  refuseNetwork(world, spec.task);
}

/** A class is a floor: asked for by name, anything above plain processes is not here. */
export function refuseClass({ isolation, sgx }: TaskSpec): void {
  if (isolation !== "default" && isolation !== "process") {
    const reason = "this driver runs tasks as processes of the host";
    throw new ExecutorError("ISOLATION_UNAVAILABLE", { isolation, offered: ["process"], reason });
  }
  if (sgx) throw new ExecutorError("SGX_UNAVAILABLE", { reason: "the process driver does not offer SGX" });
}

/** On the host's network only who asks for nothing in particular gets in. */
function refuseNetwork({ networks }: ProcessWorld, { network }: TaskSpec): void {
  if (networks !== undefined) networks.rules.resolve(network);
  else if (network !== "default") {
    const reason = "tasks are on the host's network here";
    throw new ExecutorError("NETWORK_UNAVAILABLE", { network, offered: [], reason });
  }
}
