/** What files, variables and flags say, before it is judged. */
export type Values = Record<string, unknown>;

export function valueAt(values: unknown, path: readonly string[]): unknown {
  let value = values;
  for (const name of path) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, name)) return undefined;
    value = (value as Values)[name];
  }
  return value;
}

/** Puts a value in its place. A section that the file fills with something else is left for the schema to name. */
export function putAt(values: Values, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  if (rest.length === 0) {
    values[name] = value;
    return;
  }
  const inner = Object.hasOwn(values, name) ? values[name] : {};
  if (inner === null || typeof inner !== "object" || Array.isArray(inner)) return;
  values[name] = inner;
  putAt(inner as Values, rest, value);
}
