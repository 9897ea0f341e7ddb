import { homedir } from "node:os";
import { join } from "node:path";

export type Env = Readonly<Record<string, string | undefined>>;

/** The files that are tried in this order; the first one that exists is read, and no other. */
export function fileCandidates(env: Env, cwd: string): readonly string[] {
  return [
    "/app/mecanywhere_executor.yaml",
    "/app/meca_executor.yaml",
    join(cwd, "hearth.yaml"),
    join(env["XDG_CONFIG_HOME"] ?? join(home(env), ".config"), "hearth", "config.yaml"),
    "/etc/hearth/config.yaml",
  ];
}

/** Where what outlives the daemon is kept unless told. */
export function defaultStateDir(env: Env, isRoot: boolean): string {
  if (isRoot) return "/var/lib/hearth";
  return join(env["XDG_STATE_HOME"] ?? join(home(env), ".local", "state"), "hearth");
}

/** Where a Docker client of this user keeps its credentials. */
export function defaultRegistryConfig(env: Env): string {
  return join(env["DOCKER_CONFIG"] || join(home(env), ".docker"), "config.json");
}

function home(env: Env): string {
  return env["HOME"] ?? homedir();
}
