/** The one platform type that the core may name; every host of the core provides it. */
interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: any;
  throwIfAborted(): void;
}
