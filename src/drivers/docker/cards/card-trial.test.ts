import { expect, test } from "vitest";
import type { HandoverAnswer, RuntimeSetting } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { EngineError } from "../engine/engine-error.ts";
import type { TryCard } from "./card-trial.ts";
import { CardTrial } from "./card-trial.ts";

const NO_TOOLS = 'could not select device driver "nvidia" with capabilities: [[gpu]]';
const saidNo = (words: string): EngineError => new EngineError("start", 500, words, undefined);

interface Scene {
  readonly trial: CardTrial;
  /** Card and runtime of each attempt. */
  readonly asked: string[];
  readonly answers: HandoverAnswer["type"][];
  /** What the engine does from now on. */
  behave(attempt: (gpuId: string) => Promise<void>): void;
}

function scene(attempt: (gpuId: string) => Promise<void>): Scene {
  let behaviour = attempt;
  const asked: string[] = [];
  const tryCard: TryCard = async (gpuId, runtime) => {
    asked.push(`${gpuId} ${runtime ?? "default"}`);
    await behaviour(gpuId);
  };
  const spawn = (work: (signal: AbortSignal) => Promise<void>): void => {
    work(new AbortController().signal).catch(() => undefined); // its end is what `tried` waits for
  };
  const trial = new CardTrial({ settings: { runtimes: [] }, log: undefined, tryCard, spawn });
  const answers: HandoverAnswer["type"][] = [];
  trial.onChange(() => answers.push(trial.answer.type));
  return { trial, asked, answers, behave: (next) => (behaviour = next) };
}

const gives = (): Promise<void> => Promise.resolve();
const refuses = (words: string) => (): Promise<void> => Promise.reject(saidNo(words));

test("M23: nothing is tried without cards, and once with them, however often they are read", async () => {
  const { trial, asked, answers } = scene(gives);
  trial.offer([]);
  expect(await trial.tried()).toEqual({ type: "untried" });
  for (let reading = 0; reading < 5; reading += 1) trial.offer(["a", "b"]);
  expect(await trial.tried()).toEqual({ type: "usable" });
  trial.offer(["a"]);
  await trial.tried();
  expect({ asked, answers }).toEqual({ asked: ["a default"], answers: ["usable"] });
});

test("M23: an engine without NVIDIA's tools is asked once; one that refuses a card is asked for others", async () => {
  const bare = scene(refuses(NO_TOOLS));
  bare.trial.offer(["a", "b"]);
  expect(await bare.trial.tried()).toMatchObject({
    type: "refused",
    reason: expect.stringContaining("NVIDIA Container Toolkit"),
  });
  expect(bare.asked).toEqual(["a default"]);

  const picky = scene((id) =>
    id === "b" ? gives() : Promise.reject(saidNo("nvidia-container-cli: device error: a: unknown device")),
  );
  picky.trial.offer(["a", "b"]);
  expect(await picky.trial.tried()).toEqual({ type: "usable" });

  const broken = scene(refuses("nvidia-container-cli: initialization error"));
  broken.trial.offer(["a", "b", "c", "d", "e", "f"]);
  expect(await broken.trial.tried()).toMatchObject({ type: "refused" });
  expect(broken.asked).toHaveLength(4);
});

test("what cannot be tried says nothing: cards are offered, and a refusal of before stays", async () => {
  const { trial, behave, answers } = scene(() => Promise.reject(new ExecutorError("ENGINE_UNAVAILABLE")));
  trial.offer(["a"]);
  expect(await trial.tried()).toEqual({ type: "usable" });
  behave(refuses(NO_TOOLS));
  trial.again();
  await trial.tried();
  behave(refuses("no space left on device"));
  trial.again();
  expect(await trial.tried()).toMatchObject({ type: "refused" });
  expect(answers).toEqual(["usable", "refused"]);
});

test("M23: it is tried anew when the engine returns, also during a trial, and when another runtime stands behind the class", async () => {
  const { trial, asked, answers, behave } = scene(refuses(NO_TOOLS));
  trial.offer(["a"]);
  trial.again();
  await trial.tried();
  expect(asked).toHaveLength(2);
  behave(gives);
  trial.again();
  expect(trial.answer.type).toBe("refused");
  expect(await trial.tried()).toEqual({ type: "usable" });
  const own: RuntimeSetting = { name: "own", isolation: "container", limits: "required" };
  trial.configure({ runtimes: [own] });
  await trial.tried();
  trial.configure({ runtimes: [own] });
  await trial.tried();
  expect(asked.slice(2)).toEqual(["a default", "a own"]);
  expect(answers).toEqual(["refused", "usable"]);
});

test("a driver that closes leaves nobody waiting for a trial", async () => {
  const spawn = (work: (signal: AbortSignal) => Promise<void>): void => {
    work(AbortSignal.abort()).catch(() => undefined); // likewise
  };
  const trial = new CardTrial({ settings: { runtimes: [] }, log: undefined, tryCard: gives, spawn });
  trial.offer(["a"]);
  expect(await trial.tried()).toEqual({ type: "untried" });
});
