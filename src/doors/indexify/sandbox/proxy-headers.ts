/** Headers of one connection, which no proxy passes on (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

export interface PassOptions {
  /** Whether the connection becomes another protocol's: then its two headers go along. */
  readonly isUpgrade: boolean;
}

/**
 * The headers of a message as they go to the other side: names, values, order and repetitions as they came, without those of the
 * connection. Pairs as in `rawHeaders`.
 */
export function passedHeaders(raw: readonly string[], { isUpgrade }: PassOptions): string[] {
  const pairs = headerPairs(raw);
  const named = new Set(
    pairs
      .filter(([name]) => name.toLowerCase() === "connection")
      .flatMap(([, value]) => value.split(","))
      .map((word) => word.trim().toLowerCase()),
  );
  const isKept = (name: string): boolean => {
    if (isUpgrade && (name === "connection" || name === "upgrade")) return true;
    // Its answer, 100, is given by whoever reads the body.
    return name !== "expect" && !HOP_BY_HOP.has(name) && !named.has(name);
  };
  return pairs.filter(([name]) => isKept(name.toLowerCase())).flat();
}

/** What a page of another origin is told that asks before it sends (CORS): whoever knows a sandbox's id may use it from anywhere. */
export function preflightHeaders(method: string, headers: string | undefined): Record<string, string> {
  return {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": method,
    ...(headers === undefined ? {} : { "access-control-allow-headers": headers }),
    "access-control-max-age": "3600",
  };
}

/** Lets a page of another origin read an answer, where the sandbox itself says nothing of it. */
export function withCors(raw: readonly string[], origin: string | undefined): string[] {
  const isSaid = raw.some(
    (name, index) => index % 2 === 0 && name.toLowerCase() === "access-control-allow-origin",
  );
  return origin === undefined || isSaid ? [...raw] : [...raw, "Access-Control-Allow-Origin", "*"];
}

/** Names and values as in `rawHeaders`, in pairs. */
export function headerPairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, index): [string, string][] =>
    index % 2 === 0 ? [[name, raw[index + 1] ?? ""]] : [],
  );
}
