/** What an entry of the chain is made of. Numbers are whole and below 2^53, so that every language writes them alike. */
export type CanonicalValue =
  | string
  | number
  | boolean
  | readonly CanonicalValue[]
  | { readonly [key: string]: CanonicalValue | undefined };

/**
 * The one spelling of a value: JSON without spaces, keys in the order of their UTF-16 code units, strings as `JSON.stringify`
 * writes them; that is RFC 8785 for values without fractions. A key whose value is `undefined` is left out.
 *
 * @throws RangeError for a number that is not whole or not exact.
 */
export function canonical(value: CanonicalValue): string {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} has no canonical spelling`);
    return String(value);
  }
  if (typeof value !== "object") return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonical).join(",")}]`;
  const fields = Object.entries(value).flatMap(([key, field]) =>
    field === undefined ? [] : [[key, field] as const],
  );
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(",")}}`;
}

function isList(value: object): value is readonly CanonicalValue[] {
  return Array.isArray(value);
}
