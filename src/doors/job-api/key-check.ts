import { createHash, timingSafeEqual } from "node:crypto";
import type { Secret } from "../../core/index.ts";
import { ApiRefusal } from "./api-refusal.ts";

/** Holds the raw `X-API-Key` header against the key; it takes the same time whatever was sent. */
export class KeyCheck {
  readonly #digest: Buffer;

  constructor(key: Secret) {
    this.#digest = digest(key.reveal());
  }

  /** @throws {@link ApiRefusal} 403, as the original's framework does for a key that is missing and for a wrong one. */
  check(header: string | readonly string[] | undefined): void {
    if (header === undefined) throw new ApiRefusal(403, "Not authenticated");
    if (typeof header !== "string" || !timingSafeEqual(digest(header), this.#digest)) {
      throw new ApiRefusal(403, "Could not validate credentials");
    }
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
