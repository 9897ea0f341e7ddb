import * as z from "zod";
import { LOG_LEVELS } from "../core/index.ts";
import { api } from "./api-section.ts";
import { indexify } from "./indexify-section.ts";
import { choice, list, number, section, text, toggle, whole } from "./leaf.ts";
import { docker, gpus, http, network, process, receipts, runtimes, tasks } from "./schema-sections.ts";
import { stream } from "./stream-section.ts";

const GIBIBYTE_MB = 1024;

const share = (door: string) =>
  section(`What the ${door} door is sure to get back when it wants it.`, {
    cpu: number({
      default: 0,
      max: 4096,
      isZeroAllowed: true,
      unit: "cores",
      isLive: true,
      about: "Guaranteed cores.",
    }),
    mem: whole({
      default: 0,
      min: 0,
      max: 64 * GIBIBYTE_MB * GIBIBYTE_MB,
      unit: "MB",
      isLive: true,
      about: "Guaranteed memory.",
    }),
  });

/**
 * All settings of the daemon: the one source of types, defaults, environment names, flags, `docs/configuration.md`, the
 * sample file and `serve --help`. The keys before `driver` are the contract's own (`contracts/meca.md` section 3).
 */
export const ConfigSchema = z.strictObject({
  type: choice(["docker", "process", "auto"], "auto", {
    about: "What makes sandboxes, by its old name; `driver` is stronger where both are given.",
  }),
  timeout: number({
    default: 1,
    max: 525_600,
    unit: "minutes",
    isLive: true,
    about: "A warm task without a call for this long is removed.",
  }),
  cpu: number({
    default: 4,
    max: 4096,
    unit: "cores",
    isLive: true,
    about: "Cores that all tasks together may use; never more than the host has.",
  }),
  mem: whole({
    default: 4096,
    min: 1,
    max: 64 * GIBIBYTE_MB * GIBIBYTE_MB,
    unit: "MB",
    isLive: true,
    about: "Memory that all tasks together may use; never more than 80 % of the host's.",
  }),
  has_gpu: toggle(false, { isLive: true, about: "Look for GPUs and give them to tasks that ask." }),
  microVM_runtime: text(
    "",
    {
      isLive: true,
      about:
        'The engine\'s runtime behind `runtime: "microVM"`, such as `kata`. Without one such calls are refused.',
    },
    { pattern: /^[A-Za-z0-9._-]*$/, expects: "the name of a runtime, or nothing" },
  ),
  runtimes,
  sgx: section("Intel SGX for tasks that ask for it.", {
    enable: toggle(false, { about: "Give tasks the SGX device and the AESM socket." }),
    sgx_device: text("/dev/sgx_enclave", { about: "The host's SGX device." }),
    aesmd_path: text("/var/run/aesmd", { about: "The host's folder with the AESM socket." }),
    session_s: number({
      default: 300,
      max: 86_400,
      unit: "seconds",
      isLive: true,
      about: "A session without a call for this long ends; with SGX or without.",
    }),
    session_max_s: number({
      default: 3600,
      max: 604_800,
      unit: "seconds",
      isLive: true,
      about: "The longest life of a session, however much it is used.",
    }),
    sessions: whole({
      default: 256,
      min: 1,
      max: 100_000,
      isLive: true,
      about:
        "Sessions that may be open at once, attested servers that are held for the older API included. Each keeps its sandbox, and what that holds, from others.",
    }),
  }),
  gpus,
  driver: choice(["auto", "docker", "process"], "auto", {
    defaultText: "what `type` says, else `auto`",
    about: "What makes sandboxes. `auto`: Docker where an engine answers, plain processes where none does.",
  }),
  state_dir: text("", {
    isPath: true,
    defaultText: "`/var/lib/hearth` for root, else `$XDG_STATE_HOME/hearth` (`~/.local/state/hearth`)",
    about: "Where the daemon keeps what outlives it: run records and its identity.",
  }),
  http,
  monitor: section("The monitor door: probes, metrics and the host's state (`docs/monitoring.md`).", {
    host: text("", {
      defaultText: "`127.0.0.1`; in our container image the container's own address",
      about: "The address to listen on.",
    }),
    port: whole({ default: 7000, min: 0, max: 65_535, about: "The port to listen on; 0 takes a free one." }),
  }),
  api,
  tasks,
  shares: section(
    "Guaranteed parts of `cpu` and `mem` per door; what a door leaves unused is lent to the others.",
    {
      http: share("http"),
      stream: share("stream"),
      indexify: share("indexify"),
    },
  ),
  network,
  stream,
  indexify,
  docker,
  process,
  receipts,
  images: section("Which images may run. Patterns: `*` stands for any run of characters.", {
    allow: list([], { about: "If not empty, only images that match one of these run." }),
    deny: list([], { about: "Images that match one of these never run, whatever `allow` says." }),
  }),
  pause_wait_s: number({
    default: 30,
    max: 3600,
    isZeroAllowed: true,
    unit: "seconds",
    isLive: true,
    about: "How long `pause` waits for running calls before it answers with their number.",
  }),
  drain_timeout_s: number({
    default: 30,
    max: 3600,
    isZeroAllowed: true,
    unit: "seconds",
    about: "How long a stop waits for running calls before it ends them.",
  }),
  on_stop: choice(["remove", "keep"], "remove", {
    about:
      "What a stop does with idle warm tasks: remove them, or keep them for the next start to take over.",
  }),
  log: section("The daemon's log: JSON lines on standard output.", {
    level: choice(LOG_LEVELS, "info", { isLive: true, about: "Less urgent lines are not written." }),
  }),
});

export type Config = z.output<typeof ConfigSchema>;
