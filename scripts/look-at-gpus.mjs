#!/usr/bin/env node
/**
 * Shows what Hearth reads from the NVIDIA driver of this machine: by its own reader, through the real library, and beside it
 * what `nvidia-smi` says of the same cards. For machines with a GPU, to see that the two agree; `dist` must be built.
 *
 * Prints one JSON document. Ends with 0 if cards were read and both agree, 1 if they do not, 2 if there is nothing to read.
 *
 * Usage: look-at-gpus.mjs [LOOKS]     how often to look, a second apart; 3 by default
 */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PATIENCE_MS = 30_000;
const MEBIBYTE = 1_048_576;
/** A clock tick of `/proc`. */
const TICK_MS = 10;

const looks = Math.max(1, Number(process.argv[2] ?? 3) || 3);
const program = join(dirname(dirname(fileURLToPath(import.meta.url))), "dist/gpu-reader.mjs");

const reader = await read();
const smi = askSmi();
const last = reader.messages.at(-1);
const cards = last?.type === "cards" ? last.cards : [];
const differences = compare(cards, smi.cards);
console.log(JSON.stringify({ reader, nvidiaSmi: smi, differences }, null, 2));
if (cards.length === 0) process.exitCode = 2;
else process.exitCode = differences.length === 0 ? 0 : 1;

/** What the daemon would hear, and what it costs. */
async function read() {
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [program, "1000"], { stdio: ["pipe", "pipe", "inherit"] });
  const tired = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS + looks * 1000);
  const messages = [];
  let firstWordMs;
  for await (const line of createInterface({ input: child.stdout })) {
    firstWordMs ??= Math.round(performance.now() - startedAtMs);
    messages.push(JSON.parse(line));
    if (messages.length === looks) break;
  }
  clearTimeout(tired);
  const cost = costOf(child.pid);
  child.kill("SIGKILL");
  return { firstWordMs, ...cost, messages };
}

/** Of a process that may be gone already. */
function costOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /, "").split(" ");
    const memoryKb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
    return { cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, memoryKb };
  } catch {
    return {};
  }
}

function askSmi() {
  const fields = ["index", "uuid", "memory.total", "driver_version", "name"];
  const run = spawnSync("nvidia-smi", [`--query-gpu=${fields}`, "--format=csv,noheader,nounits"], {
    timeout: PATIENCE_MS,
    encoding: "utf8",
  });
  if (run.status !== 0) return { problem: run.error?.message ?? run.stdout.trim(), cards: [] };
  const rows = run.stdout
    .trim()
    .split("\n")
    .map((line) => line.split(",").map((part) => part.trim()));
  return {
    cards: rows.map(([index, id, memoryMib, driver, ...name]) => ({
      index: Number(index),
      id,
      memoryMib: Number(memoryMib),
      driver,
      model: name.join(", "),
    })),
  };
}

function compare(ours, theirs) {
  const show = ({ index, id, model, memoryMib }) => `${index} ${id} ${model} ${memoryMib} MiB`;
  const one = ours.map((card) => show({ ...card, memoryMib: Math.round(card.memoryBytes / MEBIBYTE) }));
  const other = theirs.map(show);
  return [
    ...one.filter((card) => !other.includes(card)).map((card) => `only the reader says: ${card}`),
    ...other.filter((card) => !one.includes(card)).map((card) => `only nvidia-smi says: ${card}`),
  ];
}
