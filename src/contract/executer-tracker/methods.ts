import * as z from "zod";

/** Method to command: a path is a script that `python` runs; a list is the whole command. */
export type MethodTable = Readonly<Record<string, string | readonly string[]>>;

const SIMULATION = "/scripts/simulation.py";

/** The contract's table (section 5.2), of all its versions together. */
export const DEFAULT_METHODS: MethodTable = {
  "linalg.eigs": "/scripts/run_eigensolver.py",
  "math.matmul": "/scripts/matmul.py",
  "math.sum": "/scripts/sum.py",
  "test.sleep": "/scripts/sleep.py",
  "sph.splishsplash.run_simulation": SIMULATION,
  "sph.dualsphysics.run_simulation": SIMULATION,
  "sw.swash.run_simulation": SIMULATION,
  "sw.xbeach.run_simulation": SIMULATION,
  "fvm.openfoam.run_simulation": SIMULATION,
  "md.gromacs.run_simulation": SIMULATION,
  "windtunnel.openfoam.run_simulation": "/scripts/windtunnel_simulation.py",
  "wind_tunnel.openfoam.run_simulation": "/scripts/windtunnel_simulation.py",
  "fem.fenicsx.run_simulation": "/scripts/simulation_linear_elasticity.py",
  "stellarators.simsopt.run_simulation": SIMULATION,
  "fluid_tank.splishsplash.run_simulation": "/scripts/fluid_tank_simulation.py",
  "protein_solvation.gromacs.run_simulation": "/scripts/protein_solvation_simulation.py",
  "dam_break.splishsplash.run_simulation": SIMULATION,
  "dam_break.dualsphysics.run_simulation": SIMULATION,
  "fluid_block.splishsplash.run_simulation": SIMULATION,
  "fluid_block.dualsphysics.run_simulation": SIMULATION,
  "coastal_area.swash.run_simulation": SIMULATION,
  "wind_terrain.openfoam.run_simulation": SIMULATION,
  "heat_sink.openfoam.run_simulation": SIMULATION,
  "mdwater_box.gromacs.run_simulation": SIMULATION,
  "deformable_plate.fenicsx.run_simulation": SIMULATION,
};

const word = z
  .string()
  .min(1, "must not be empty")
  .max(512, "must have at most 512 characters")
  .refine((value) => !value.includes("\0"), "must not hold a NUL character");

const tableSchema = z.record(
  z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}$/, "a method is letters, digits, dots, underscores, hyphens"),
  z.union([word, z.array(word).min(1).max(64)], "must be a script's path, or a command as a list of texts"),
);

export type ParsedMethods =
  | { readonly isValid: true; readonly methods: MethodTable }
  | { readonly isValid: false; readonly faults: readonly string[] };

/** Reads the text of a methods file. It replaces the default table; every fault names its method. */
export function parseMethods(source: string): ParsedMethods {
  let json: unknown;
  try {
    json = JSON.parse(source);
  } catch (error) {
    return { isValid: false, faults: [`it is not JSON: ${(error as Error).message}`] };
  }
  const parsed = tableSchema.safeParse(json);
  if (parsed.success) return { isValid: true, methods: parsed.data };
  const faults = parsed.error.issues.map(
    ({ path, message }) => `${path.join(".") || "the file"}: ${message}`,
  );
  return { isValid: false, faults };
}

/**
 * The command of a method; `undefined` for one that the table does not have. A script is split at spaces, as the original
 * does, so that it can have arguments; a list stands as it is.
 */
export function commandOf(table: MethodTable, method: string): readonly string[] | undefined {
  const row = Object.hasOwn(table, method) ? table[method] : undefined;
  if (row === undefined) return undefined;
  return typeof row === "string" ? ["python", ...row.split(" ").filter((part) => part !== "")] : row;
}
