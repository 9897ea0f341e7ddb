import { expect, test } from "vitest";
import { poll } from "../../../../test/support/poll.ts";
import type { SandboxEnd } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/engine-error.ts";
import type { JobParts } from "./docker-job.ts";
import { DockerJob } from "./docker-job.ts";

const LOST = unanswered("ECONNRESET");
const AWAY = unanswered("ECONNREFUSED");
const NOT_RUNNING = new EngineError("kill", 409, "container is not running", undefined);
const REFUSED = new EngineError("kill", 500, "the engine is out of order", undefined);
const EXITED: SandboxEnd = { type: "exited", exitCode: 0 };
const SIGNALLED: SandboxEnd = { type: "signalled", signal: "SIGKILL" };

function unanswered(code: string): ExecutorError {
  const cause = Object.assign(new Error(code), { code });
  return new ExecutorError("ENGINE_UNAVAILABLE", { reason: code }, { cause });
}

/** A job whose engine answers each signal when and as the test says; its files are taken when the test says so. */
class Scene {
  readonly signals: string[] = [];
  figures: Promise<unknown> = Promise.resolve();
  readonly #answers: Resolvers<undefined>[] = [];
  readonly #death = withResolvers<SandboxEnd>();
  readonly #files = withResolvers<undefined>();
  readonly job: DockerJob;

  constructor() {
    const kill = (_id: string, name: string): Promise<unknown> => {
      const answer = withResolvers<undefined>();
      this.signals.push(name);
      this.#answers.push(answer);
      return answer.promise;
    };
    const engine = { containers: { kill, remove: () => Promise.resolve() } } as unknown as Engine;
    this.job = new DockerJob(engine, {
      containerId: "c",
      watch: { ended: this.#death.promise, forget: () => undefined },
      samples: { take: () => this.figures, stop: () => undefined },
      takeFiles: () => this.#files.promise,
      onRemoved: () => undefined,
    } as unknown as JobParts);
  }

  /** The engine's answer to a signal, by its number; without a failure it has reached the job. */
  async answer(number: number, failure?: Error): Promise<void> {
    await poll(`signal ${number} was sent`, () => this.signals.length > number || this.signals.join());
    if (failure === undefined) this.#answers[number]?.resolve(undefined);
    else this.#answers[number]?.reject(failure);
  }

  /** The engine tells its end. */
  die(end: SandboxEnd): void {
    this.#death.resolve(end);
  }

  async ended(): Promise<SandboxEnd> {
    this.#files.resolve(undefined);
    return await this.job.ended;
  }
}

interface Resolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function withResolvers<T>(): Resolvers<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const settled = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

test.each<[string, SandboxEnd, SandboxEnd]>([
  ["by a signal was ended by us", SIGNALLED, { type: "stopped" }],
  ["for its memory was ended by us", { type: "memory", limitBytes: 1 }, { type: "stopped" }],
  ["with a code has ended by itself", EXITED, EXITED],
  ["for others' reasons is lost", { type: "lost" }, { type: "lost" }],
])("after a lost answer a job that ends %s", async (_, end, told) => {
  const scene = new Scene();
  const ending = settled(scene.job.end(0));
  await scene.answer(0, LOST);
  expect(await ending).toMatchObject({ code: "ENGINE_UNAVAILABLE" });
  scene.die(end);
  expect(await scene.ended()).toEqual(told);
});

test.each([undefined, AWAY, REFUSED])(
  "a job that no signal of ours has reached (%s) ended by itself",
  async (failure) => {
    const scene = new Scene();
    if (failure !== undefined) {
      const ending = settled(scene.job.end(0));
      await scene.answer(0, failure);
      await ending;
    }
    scene.die(SIGNALLED);
    expect(await scene.ended()).toEqual(SIGNALLED);
  },
);

test("a job that was killed stays so when nobody answers the next signal", async () => {
  const scene = new Scene();
  const first = settled(scene.job.end(0));
  await scene.answer(0);
  const second = settled(scene.job.end(0));
  await scene.answer(1, AWAY);
  await second;
  scene.die(SIGNALLED);
  expect(await scene.ended()).toEqual({ type: "stopped" });
  await first;
});

test("a job that was asked stays so when the kill beside it is refused", async () => {
  const scene = new Scene();
  const asked = settled(scene.job.end(60_000));
  await poll("it is asked", () => scene.signals.length === 1 || "not yet");
  const killed = settled(scene.job.end(0));
  await scene.answer(1, REFUSED);
  await killed;
  await scene.answer(0);
  scene.die({ type: "exited", exitCode: 143 });
  expect(await scene.ended()).toEqual({ type: "stopped" });
  await asked;
});

test.each<[string, Error | undefined, SandboxEnd]>([
  ["came in time", undefined, { type: "stopped" }],
  ["came too late", NOT_RUNNING, EXITED],
])("an end that is seen before the engine's answer to a signal that %s", async (_, failure, told) => {
  const scene = new Scene();
  const ending = settled(scene.job.end(0));
  await poll("it is killed", () => scene.signals.length === 1 || "not yet");
  scene.die(EXITED);
  const ended = scene.ended();
  await scene.answer(0, failure);
  expect(await ended).toEqual(told);
  await ending;
});

test("a job that had ended before it was asked keeps its own end", async () => {
  const scene = new Scene();
  const ending = settled(scene.job.end(60_000));
  await scene.answer(0, NOT_RUNNING);
  await scene.answer(1, NOT_RUNNING);
  scene.die(EXITED);
  expect(await scene.ended()).toEqual(EXITED);
  await ending;
  expect(scene.signals).toEqual(["SIGTERM", "SIGKILL"]);
});

test("one that ends while its last figures are taken is not asked any more", async () => {
  const scene = new Scene();
  const figures = withResolvers<undefined>();
  scene.figures = figures.promise;
  const ending = scene.job.end(60_000);
  scene.die(EXITED);
  expect(await scene.ended()).toEqual(EXITED);
  figures.resolve(undefined);
  await ending;
  expect(scene.signals).toEqual([]);
});

test("one that is gone when it is killed is lost", async () => {
  const scene = new Scene();
  const ending = scene.job.end(0);
  await scene.answer(0, new EngineError("kill", 404, "no such container", undefined));
  expect(await scene.ended()).toEqual({ type: "lost" });
  await ending;
});

test("a removal ends what runs", async () => {
  const scene = new Scene();
  const removed = scene.job.remove();
  expect(await scene.ended()).toEqual({ type: "stopped" });
  await removed;
});
