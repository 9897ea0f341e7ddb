/** Method to executer type, for methods that do not name theirs. */
export type MethodTypes = Readonly<Record<string, string>>;

/** What clients of 2023 call beside simulators. */
export const DEFAULT_METHOD_TYPES: MethodTypes = {
  "math.matmul": "math",
  "math.sum": "math",
  "linalg.eigs": "math",
  "test.sleep": "test",
};

const SIMULATION = /^[A-Za-z0-9_]+\.([A-Za-z0-9_]+)\.run_simulation$/;

/** The executer type whose stream a method's requests go to; `undefined` for a method that nobody knows. */
export function executerTypeOf(method: string, table: MethodTypes): string | undefined {
  return Object.hasOwn(table, method) ? table[method] : SIMULATION.exec(method)?.[1];
}
