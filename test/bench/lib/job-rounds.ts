import type { PrivateRedis } from "../../support/private-redis.ts";
import type { Row } from "./bench.ts";
import type { CpuUse } from "./cpu-per-job.ts";
import { cpuUse, perJob } from "./cpu-per-job.ts";
import { median, ratio } from "./rounds.ts";

/** One way of doing jobs, in one round. */
export interface Round {
  readonly perS: number;
  /** Of the program that does them, with what it starts. */
  readonly program: CpuUse;
  readonly redisMs: number;
}

/** The programs whose CPU counts. */
export interface Programs {
  readonly pid: number;
  readonly redisPid: number;
  /** Children of the first that have no part in it. */
  readonly others?: readonly number[];
}

/** @param work does `jobs` jobs. @returns jobs per second. */
export async function measureRound(
  { pid, redisPid, others = [] }: Programs,
  jobs: number,
  work: () => Promise<number>,
): Promise<Round> {
  const except = [redisPid, ...others];
  const [before, redisBefore] = [cpuUse(pid, except), cpuUse(redisPid)];
  const perS = await work();
  const program = perJob(before, cpuUse(pid, except), jobs);
  return { perS, program, redisMs: perJob(redisBefore, cpuUse(redisPid), jobs).ownMs };
}

export async function redisPid(redis: PrivateRedis): Promise<number> {
  const info = String(await redis.ask("INFO", "server"));
  return Number(/process_id:(\d+)/.exec(info)?.[1]);
}

const rates = (rounds: readonly Round[]): readonly number[] => rounds.map(({ perS }) => perS);
const totals = (rounds: readonly Round[]): readonly number[] =>
  rounds.map(({ program, redisMs }) => program.ownMs + program.childrenMs + redisMs);
const middle = (values: readonly number[]): number => Number(median(values).toFixed(2));

/** The rate of the door against that of a bare loop, and the CPU of both, which other work on the machine hardly changes. */
export function against(bare: readonly Round[], door: readonly Round[]): Row["figures"] {
  return {
    rate_ratio: ratio(rates(door), rates(bare)),
    bare_per_s: Math.round(median(rates(bare))),
    door_per_s: Math.round(median(rates(door))),
    cpu_ratio: ratio(totals(bare), totals(door)),
    bare_cpu_ms: middle(totals(bare)),
    ...cpuOf(door),
  };
}

/** Milliseconds of CPU for each job. */
function cpuOf(door: readonly Round[]): Row["figures"] {
  return {
    door_cpu_ms: middle(totals(door)),
    program_ms: middle(door.map(({ program }) => program.ownMs)),
    children_ms: middle(door.map(({ program }) => program.childrenMs)),
    redis_ms: middle(door.map(({ redisMs }) => redisMs)),
  };
}

let made = 0;

/** Begins the ids of one round, which no other has. */
export function freshRound(): string {
  made += 1;
  return `r${made}-`;
}
