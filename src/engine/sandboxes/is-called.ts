import type { SandboxId } from "../../core/index.ts";

/** What a sandbox goes by, beside its whole id. */
export interface Named {
  readonly sandboxId: SandboxId;
  /** Its outside name. */
  readonly label: string;
  readonly image: string;
  readonly jobId?: string | undefined;
}

/** Whether a text may mean it: the beginning of its id, its outside name, or its image. A tag that nobody typed is `latest`. */
export function isCalled({ sandboxId, label, image }: Named, text: string): boolean {
  return sandboxId.startsWith(text) || label === text || image === text || image === `${text}:latest`;
}
