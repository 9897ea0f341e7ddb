import type { DriverSettings, IsolationClass } from "../../../core/index.ts";

/** The engine's name of a runtime that the operator has allowed. Nothing else can be named in a container's body. */
export type RuntimeName = string & { readonly __brand: "RuntimeName" };

/** A class that this driver may reach, and what in the engine stands behind it. */
export interface ConfiguredClass {
  readonly isolation: IsolationClass;
  /** `undefined`: the engine's own default. */
  readonly runtime: RuntimeName | undefined;
  /** `optional`: the operator has agreed in writing that its limits may not hold. */
  readonly limits: "required" | "optional";
}

const CONTAINER: ConfiguredClass = { isolation: "container", runtime: undefined, limits: "required" };

/** The allow-list: what the operator has mapped, and `container` in any case. `container` is first, so it is what `default` means. */
export function configuredClasses({ runtimes }: DriverSettings): readonly ConfiguredClass[] {
  const mapped = runtimes.map(
    ({ name, isolation, limits }): ConfiguredClass => ({ isolation, runtime: name as RuntimeName, limits }),
  );
  const container = mapped.find(({ isolation }) => isolation === "container") ?? CONTAINER;
  return [container, ...mapped.filter(({ isolation }) => isolation !== "container")];
}
