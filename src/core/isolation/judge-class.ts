import type { ClassReport, LimitKind, ProbeSight } from "../ports/driver.ts";
import type { IsolationClass } from "../task/isolation.ts";
import type { ProbeFindings } from "./probe-findings.ts";

/** What is known besides what the test sandbox wrote. */
export interface Judging {
  readonly isolation: IsolationClass;
  readonly findings: ProbeFindings;
  /** What a sandbox of the host's own kernel sees; `undefined` if that could not be found out. */
  readonly hostKernel: string | undefined;
  /** The share of one core that the test sandbox had, in thousandths. */
  readonly cpuMillis: number;
  /** `optional`: the operator agrees that limits may not hold. */
  readonly limits: "required" | "optional";
  /** Limits that the host says itself it does not have: known to the operator since the start, so told and not refused. */
  readonly knownMissing: readonly LimitKind[];
  /** Whether a task that reaches the executor's doors is turned away there. */
  readonly isTurnedAway: boolean;
  /** Whether a setuid program that gains something ends the class; not for `process`, which promises only what it reports. */
  readonly needsNoNewPrivileges: boolean;
}

export type Judgement = Pick<ClassReport, "state" | "reasons" | "sight">;

/** How a limit is called in a sentence. */
const LIMIT_NAMES: Readonly<Record<LimitKind, string>> = { cpu: "CPU", memory: "memory", pids: "processes" };

/** Holds a class against what its test sandbox saw. A class that promises more than was seen is unusable. Pure. */
export function judgeClass(judging: Judging): Judgement {
  const { findings } = judging;
  if (findings.kernel === undefined)
    return unusable("its test sandbox ended before it said anything", undefined);
  const sight = sightOf(judging, findings.kernel);
  const faults = kernelFaults(judging, sight);
  const remarks: string[] = [];
  if (!sight.hasNoNewPrivileges) {
    (judging.needsNoNewPrivileges ? faults : remarks).push("a setuid program in it gains rights");
  }
  if (findings.diedAt !== undefined && !isLimitStage(findings.diedAt)) {
    faults.push(`its test sandbox died at the test of ${findings.diedAt}`);
  }
  limitsOf(judging, sight, faults, remarks);
  if (sight.reachesExecutor) {
    const reason = "a task in it reaches the executor's own doors";
    if (judging.isTurnedAway) remarks.push(`${reason}, which turn it away`);
    // What `process` is without users and networks of its own was told when the driver was opened.
    else if (judging.isolation === "process") remarks.push(`${reason}, which take it for a local caller`);
    else faults.push(reason);
  }
  const state = faults.length === 0 ? "usable" : "unusable";
  return { state, reasons: [...faults, ...remarks], sight };
}

function unusable(reason: string, sight: ProbeSight | undefined): Judgement {
  return { state: "unusable", reasons: [reason], sight };
}

function sightOf({ findings, hostKernel, cpuMillis, knownMissing }: Judging, kernel: string): ProbeSight {
  const cpu = cpuHeld(findings, cpuMillis);
  const held: Readonly<Record<LimitKind, boolean | undefined>> = {
    // A busy host stops processes for as long as a limit does.
    cpu: cpu === true && knownMissing.includes("cpu") ? undefined : cpu,
    memory: stageHeld(findings, "memory", findings.memory && findings.memory.how !== 0),
    pids: stageHeld(findings, "pids", findings.pids && findings.pids.errno !== 0),
  };
  const kinds = ["cpu", "memory", "pids"] as const;
  return {
    kernel,
    hasOwnKernel: hostKernel !== undefined && kernel !== hostKernel,
    enforced: kinds.filter((kind) => held[kind] === true),
    ignored: kinds.filter((kind) => held[kind] === false),
    hasNoNewPrivileges: gainsNothing(findings),
    reachesExecutor: findings.connects.some(({ errno }) => errno === 0),
  };
}

/** What happened to a setuid program is stronger than the flag, which says only what the kernel would do. */
function gainsNothing({ privilege, gainedUid }: ProbeFindings): boolean {
  if (privilege === undefined) return false;
  return gainedUid === undefined || privilege.uid === 0 ? privilege.isFlagSet : gainedUid === privilege.uid;
}

/**
 * The kernel hands CPU out anew each 100 ms. A spin that begins late in one period, with all of that still to be had, and ends early
 * in another, gets the shares of two periods more than its length says; and a group is stopped at a tick, of up to 10 ms, after its
 * share is used up.
 */
const PERIOD_US = 100_000;
const SLACK_US = 20_000;
/** Stalls of this length are a limit's, not the change to another process. */
const LONG_STALL_US = 20_000;

/**
 * It took more than it was given: then the limit does not hold. It was stopped for long: then it does. On a host so busy that
 * it got less than its share there is nothing to tell: `undefined`. Clocks of a guest may count time in which the guest stood
 * still, so time that nobody saw pass is not counted.
 */
function cpuHeld({ cpu }: ProbeFindings, cpuMillis: number): boolean | undefined {
  if (cpu === undefined) return undefined;
  const ranUs = Math.min(cpu.usedUs, cpu.wallUs - cpu.stalledUs);
  const givenUs = ((cpu.wallUs + 2 * PERIOD_US) * cpuMillis) / 1000 + SLACK_US;
  if (ranUs > givenUs) return false;
  return cpu.longestStallUs >= LONG_STALL_US ? true : undefined;
}

/** A sandbox that a limit has killed as a whole was limited. */
function stageHeld(
  { diedAt }: ProbeFindings,
  stage: LimitKind,
  isHeld: boolean | undefined,
): boolean | undefined {
  return diedAt === stage ? true : isHeld;
}

function isLimitStage(stage: string): boolean {
  return stage === "memory" || stage === "pids";
}

function kernelFaults({ isolation, hostKernel }: Judging, { hasOwnKernel }: ProbeSight): string[] {
  if (isolation !== "gvisor" && isolation !== "microVM") return [];
  if (hostKernel === undefined)
    return ["what the host's own kernel is could not be found out, to tell it apart"];
  return hasOwnKernel ? [] : ["tasks in it run on the host's kernel: it is no stronger than a container"];
}

function limitsOf(
  { limits, knownMissing }: Judging,
  { ignored }: ProbeSight,
  faults: string[],
  remarks: string[],
): void {
  const known = ignored.filter((kind) => knownMissing.includes(kind));
  const silent = ignored.filter((kind) => !knownMissing.includes(kind));
  if (known.length > 0) remarks.push(`this host has no limits for it on ${nameAll(known)}`);
  if (silent.length === 0) return;
  const reason = `its limits do not hold: ${nameAll(silent)}`;
  if (limits === "optional") remarks.push(`${reason}, which the configuration agrees to`);
  else faults.push(reason);
}

function nameAll(kinds: readonly LimitKind[]): string {
  return kinds.map((kind) => LIMIT_NAMES[kind]).join(", ");
}
