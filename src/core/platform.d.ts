/** The one platform type that the core may name; every host of the core provides it. */
interface AbortSignal {
  readonly aborted: boolean;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the platform declares it so, and declarations must agree
  readonly reason: any;
  throwIfAborted(): void;
}
