import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import type { Registration } from "../../../contract/executer-tracker/index.ts";
import {
  DEFAULT_GROUP,
  registrationResponse,
  requestStreamOf,
} from "../../../contract/executer-tracker/index.ts";

/** What this host is called in the queue, kept over the lives of the daemon. */
export interface Identity {
  /** What was kept, if it was given for just this: another API or other types make another executer. */
  recall(about: unknown): Promise<Registration | undefined>;
  keep(registration: Registration, about: unknown): Promise<void>;
  /** Once its end has been told and it holds nothing, an executer never comes back. */
  forget(): Promise<void>;
}

/** @param file in the state directory. */
export function keepIdentity(file: string): Identity {
  return {
    async recall(about) {
      try {
        const kept: unknown = JSON.parse(await readFile(file, "utf8"));
        const isSame =
          typeof kept === "object" && kept !== null && "about" in kept && kept.about === digestOf(about);
        return isSame && "registration" in kept ? registrationResponse.parse(kept.registration) : undefined;
      } catch {
        // None was kept, or nothing that can be read: then it is given anew.
        return undefined;
      }
    },
    async keep(registration, about) {
      const text = JSON.stringify({ about: digestOf(about), registration });
      await writeFile(`${file}.new`, `${text}\n`, { mode: 0o600 });
      await rename(`${file}.new`, file);
    },
    async forget() {
      await rm(file, { force: true });
    },
  };
}

/** The names that hosts without an API agree on. */
export function selfRegistration(executerTypes: readonly string[], consumer: string): Registration {
  return {
    uuid: randomUUID(),
    redis_streams: executerTypes.map(requestStreamOf),
    redis_consumer_group: DEFAULT_GROUP,
    redis_consumer_name: consumer,
  };
}

function digestOf(about: unknown): string {
  return createHash("sha256").update(JSON.stringify(about)).digest("hex");
}
