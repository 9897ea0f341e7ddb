/** Closes a `switch` over a union: a forgotten member does not compile, an impossible one throws. */
export function assertNever(value: never): never {
  throw new TypeError(`a value that the types exclude: ${JSON.stringify(value)}`);
}
