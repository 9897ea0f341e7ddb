import type { S3Address } from "./address.ts";
import type { Connection } from "./connection.ts";

/** One object and the way to it. */
export interface Target {
  readonly connection: Connection;
  /** As our side calls it, for errors. */
  readonly key: string;
  readonly address: S3Address;
}
