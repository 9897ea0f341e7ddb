import { signal } from "@preact/signals";
import type { Run } from "../../src/client/index.ts";

/** What is open above the page; at most one. */
export type Dialog =
  | { readonly type: "logs"; readonly sandboxId: string; readonly title: string }
  | {
      readonly type: "confirm";
      readonly title: string;
      readonly text: string;
      readonly verb: string;
      act(): Promise<string>;
    }
  | { readonly type: "run"; readonly run: Run }
  | { readonly type: "limits" }
  | { readonly type: "token" };

export const dialog = signal<Dialog | undefined>(undefined);

/** What the last action came to, for a moment. */
export const notice = signal<{ readonly text: string; readonly isBad: boolean } | undefined>(undefined);

const NOTICE_MS = 6000;
let clearing: ReturnType<typeof setTimeout> | undefined;

export function say(text: string, isBad = false): void {
  clearTimeout(clearing);
  notice.value = { text, isBad };
  clearing = setTimeout(() => {
    notice.value = undefined;
  }, NOTICE_MS);
}

export function close(): void {
  dialog.value = undefined;
}
