import { createHash, timingSafeEqual } from "node:crypto";
import type { Scope } from "../../../contract/v1/route.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { AccessToken } from "../door-options.ts";

/**
 * Holds a request's `Authorization` against the tokens. Takes the same time whichever token fits, and whether one does.
 *
 * @returns the name of the token; `undefined` when none is configured.
 * @throws {@link ExecutorError} TOKEN_REQUIRED, SCOPE_MISSING.
 */
export class BearerCheck {
  readonly #tokens: readonly Known[];

  constructor(tokens: readonly AccessToken[]) {
    this.#tokens = tokens.map(({ name, token, scopes }) => ({
      name,
      digest: digest(token.reveal()),
      scopes,
    }));
  }

  get isOn(): boolean {
    return this.#tokens.length > 0;
  }

  /** @param scopes any one of them is enough; none at all leaves the route open. */
  check(authorization: string | undefined, scopes: readonly Scope[]): string | undefined {
    if (!this.isOn || scopes.length === 0) return undefined;
    const found = this.#find(authorization);
    if (found === undefined) throw new ExecutorError("TOKEN_REQUIRED");
    if (!scopes.some((scope) => found.scopes.includes(scope))) {
      throw new ExecutorError("SCOPE_MISSING", { token: found.name, wanted: scopes });
    }
    return found.name;
  }

  /** What the token allows; `undefined` when it is none of ours, or when none is configured. */
  scopesOf(authorization: string | undefined): readonly Scope[] | undefined {
    return this.#find(authorization)?.scopes;
  }

  #find(authorization: string | undefined): Known | undefined {
    const sent = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? "")?.[1];
    if (sent === undefined) return undefined;
    const sentDigest = digest(sent);
    let found: Known | undefined;
    for (const token of this.#tokens) if (timingSafeEqual(token.digest, sentDigest)) found = token;
    return found;
  }
}

interface Known {
  readonly name: string;
  readonly digest: Buffer;
  readonly scopes: readonly Scope[];
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
