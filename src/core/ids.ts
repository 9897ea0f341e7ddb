declare const kind: unique symbol;

/** A string with a kind, so that a `SandboxId` where a `TaskKey` is wanted does not compile. */
export type Id<K extends string> = string & { readonly [kind]: K };

/** Names one sandbox for ever; 26 lower-case characters, ordered by creation time. */
export type SandboxId = Id<"sandbox">;
/** What makes two calls meet the same warm sandboxes: see `taskKey`. */
export type TaskKey = Id<"taskKey">;
/** Names one attempt at a call; sent back in the `Hearth-Run-Id` header. */
export type RunId = Id<"run">;

/** Names one session. Whoever has it may use the session, so it cannot be guessed and stands in no log. */
export type SessionId = Id<"session">;

/** The one place where a plain string becomes an id; the caller vouches for its kind. */
export function asId<K extends string>(text: string): Id<K> {
  return text as Id<K>;
}
