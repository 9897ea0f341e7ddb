import { NETWORK_POLICIES } from "../core/index.ts";
import { choice, list, number, seconds, secret, section, text, toggle, whole } from "./leaf.ts";

const MEBIBYTE_MB = 1024 * 1024;
const UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
const GROUP = { pattern: new RegExp(`^(auto|none|${UUID})$`), expects: "a UUID, auto or none" } as const;
/** A name or an address with a port, as sentinels and nodes are written. */
const NODE = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/;
const NODES = { isRight: (entry: string) => NODE.test(entry), expects: "a list of host:port" } as const;

const megabytes = (value: number, about: string) =>
  whole({ default: value, min: 1, max: 64 * MEBIBYTE_MB, unit: "MB", about });

const redis = section("The Redis (6.2 or later) or Valkey that holds the queue (`docs/queue.md`).", {
  host: text("redis", { otherEnv: ["REDIS_HOSTNAME"], about: "Its name or address." }),
  port: whole({ default: 6379, min: 1, max: 65_535, otherEnv: ["REDIS_PORT"], about: "Its port." }),
  database: whole({ default: 0, min: 0, max: 65_535, about: "The number of the database; 0 in a cluster." }),
  username: text("", { about: "An ACL user; without it the password is the default user's." }),
  password: secret({ about: "The user's password." }),
  password_file: text("", { isPath: true, about: "A file that holds the password." }),
  tls: toggle(false, { about: "Speak TLS." }),
  tls_ca: text("", { isPath: true, about: "A file with the certificates that sign the server's." }),
  tls_cert: text("", { isPath: true, about: "A file with this host's own certificate." }),
  tls_key: text("", { isPath: true, about: "A file with the key of that certificate." }),
  tls_name: text("", { about: "The name in the server's certificate, where it is not `host`." }),
  sentinels: list([], { about: "Sentinels, as `host:port`; they are asked for the primary." }, NODES),
  sentinel_primary: text("mymaster", { about: "What the sentinels call the primary." }),
  sentinel_username: text("", {
    about: "An ACL user of the sentinels; without it their password is the default user's.",
  }),
  sentinel_password: secret({ about: "What the sentinels ask for; `password` is never sent to them." }),
  sentinel_password_file: text("", { isPath: true, about: "A file that holds the sentinels' password." }),
  cluster: list([], { about: "Nodes of a Redis Cluster to begin with, as `host:port`." }, NODES),
  allow_eviction: toggle(false, {
    about:
      "Take jobs from a server that may evict keys too (`maxmemory-policy` other than `noeviction`), and lose some.",
  }),
});

const input = section("What an input archive may be.", {
  mb: megabytes(2048, "The archive, and what is in it."),
  entries: whole({ default: 10_000, min: 1, max: 10_000_000, about: "Files and folders." }),
  ratio: whole({ default: 200, min: 1, max: 100_000, about: "Bytes for each byte of the archive." }),
  seconds: seconds(60, { about: "How long unpacking may take." }),
});

const output = section("What is packed of a job's `output/`.", {
  mb: megabytes(65_536, "All of it."),
  entries: whole({ default: 1_000_000, min: 1, max: 100_000_000, about: "Files and folders." }),
  seconds: seconds(3600, { about: "How long packing may take." }),
  log_mb: megabytes(2, "Of each of what a job prints to its two streams, if its script keeps none itself."),
  upload_s: seconds(600, { about: "How long an upload that fails is tried again." }),
});

export const stream = section(
  "The stream door: jobs from Redis, as the executer tracker takes them (`docs/stream.md`). It opens where `stream.images_file` is given.",
  {
    images_file: text("", {
      isPath: true,
      otherEnv: ["EXECUTERS_CONFIG", "EXECUTER_DOCKER_IMAGES_CONFIG"],
      about: "The JSON file of executer types and their images. Without one the door stays shut.",
    }),
    methods_file: text("", {
      isPath: true,
      defaultText: "the contract's own table",
      about: "A JSON file of methods and their scripts, instead of that table.",
    }),
    artifact_store: text("/mnt/artifacts", {
      otherEnv: ["ARTIFACT_STORE"],
      about:
        "Where inputs and results are: an absolute path, `file://`, `s3://bucket/prefix`, `gs://bucket/prefix`.",
    }),
    s3_endpoint: text("", {
      otherEnv: ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
      about: "The S3 service, where it is not Amazon's.",
    }),
    s3_region: text("", {
      otherEnv: ["AWS_REGION", "AWS_DEFAULT_REGION"],
      about: "The region of the bucket.",
    }),
    shared_dir_local: text("", {
      isPath: true,
      otherEnv: ["SHARED_DIR_LOCAL"],
      defaultText: "none with the docker driver; `jobs` in `state_dir` with the process driver",
      about: "The folder of work folders, as this daemon sees it.",
    }),
    shared_dir_host: text("", {
      otherEnv: ["SHARED_DIR_HOST"],
      defaultText: "none with the docker driver; `shared_dir_local` with the process driver",
      about: "The same folder as the engine's host sees it.",
    }),
    working_dir: text(
      "/working_dir",
      { about: "Where a job sees its folder; also its current directory." },
      {
        pattern: /^(?=.{2,256}$)(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+\/?$/,
        expects: "an absolute path other than /, without . or .. in it",
      },
    ),
    registration: choice(["api", "none"], "api", {
      about:
        "Who says which streams to read: the API, or nobody: then `<type>_requests` in the group `all_consumers`.",
    }),
    api_url: text(
      "http://web",
      { otherEnv: ["API_URL"], about: "The API that registers this host." },
      { pattern: /^https?:\/\/[^\s?#]+$/, expects: "http://host or https://host" },
    ),
    api_token: secret({ about: "Sent as `X-API-Key` with the registration." }),
    resource_pool: text(
      "auto",
      {
        otherEnv: ["RESOURCE_POOL"],
        emptyMeans: "none",
        about: "The pool that this host belongs to; `auto` asks Google's metadata server.",
      },
      GROUP,
    ),
    machine_group: text(
      "auto",
      {
        otherEnv: ["MACHINE_GROUP_ID"],
        emptyMeans: "none",
        about: "The machine group that this host belongs to; `auto` asks Google's metadata server.",
      },
      GROUP,
    ),
    metadata_host: text("metadata.google.internal", {
      otherEnv: ["GCE_METADATA_HOST"],
      about: "Google's metadata server; `none` never asks.",
    }),
    host_name: text("", {
      otherEnv: ["HOSTNAME"],
      defaultText: "the host's own name",
      about: "What this host is called in events and in the fleet.",
    }),
    labels: list(
      [],
      { about: "What this host says of itself to the fleet, as `name=value`." },
      {
        isRight: (entry) => /^[A-Za-z0-9._/-]{1,63}=[^\s]{0,255}$/.test(entry),
        expects: "a list of name=value",
      },
    ),
    concurrency: whole({ default: 1, min: 1, max: 1000, about: "Jobs that run at once." }),
    claim_ahead: whole({
      default: 0,
      min: 0,
      max: 1000,
      about: "Jobs that are claimed beyond those. They go back when the daemon stops.",
    }),
    cpu: number({
      default: 0,
      max: 4096,
      isZeroAllowed: true,
      unit: "cores",
      defaultText: "`cpu` without the other doors' shares, divided by `concurrency`",
      about: "Cores of a job whose type says nothing.",
    }),
    mem: whole({
      default: 0,
      min: 0,
      max: 64 * MEBIBYTE_MB,
      unit: "MB",
      defaultText: "`mem` without the other doors' shares, divided by `concurrency`",
      about: "Memory of a job whose type says nothing.",
    }),
    disk: whole({
      default: 0,
      min: 0,
      max: 64 * MEBIBYTE_MB,
      unit: "MB",
      defaultText: "what is free beyond `disk_reserve`, divided by `concurrency`",
      about: "What the work folder of a job may take whose type says nothing.",
    }),
    disk_reserve: whole({
      default: 0,
      min: 0,
      max: 64 * MEBIBYTE_MB,
      unit: "MB",
      defaultText: "a twentieth of the file system, at most 1024",
      about: "What jobs leave free of the file system that work folders are on.",
    }),
    pids: whole({
      default: 0,
      min: 0,
      max: 4_194_304,
      defaultText: "the driver's own",
      about: "Processes and threads of a job whose type says nothing.",
    }),
    network: choice(["default", ...NETWORK_POLICIES], "default", {
      about: "What a job may reach whose type says nothing; `default` is `network.default`.",
    }),
    time_limit_s: seconds(
      86_400,
      { about: "The longest that a job may run; its type and its entry may say less." },
      { max: 31_536_000 },
    ),
    kill_grace_s: seconds(
      5,
      { about: "How long a job that is killed may take to end after it is asked to." },
      { max: 60, isZeroAllowed: true },
    ),
    on_stop: choice(["hand_back", "terminate"], "hand_back", {
      about:
        "What becomes of a job that still runs when the drain is over: another host begins it anew, or its results so far are published and its status is `executer-terminated`.",
    }),
    lease_s: seconds(30, { about: "A host that says nothing for this long loses its jobs." }, { max: 3600 }),
    max_deaths: whole({
      default: 3,
      min: 1,
      max: 100,
      about: "A job that this many hosts ended with is put aside.",
    }),
    max_attempts: whole({
      default: 5,
      min: 1,
      max: 100,
      about: "A job that its hosts lost this many times fails.",
    }),
    keep_days: number({
      default: 7,
      max: 365,
      unit: "days",
      about: "How long it is known that a job is complete.",
    }),
    events_kept: whole({
      default: 100_000,
      min: 100,
      max: 1_000_000_000,
      about: "About how many events stay in the `events` stream.",
    }),
    fleet_s: seconds(5, { about: "How often this host tells the others of itself." }, { max: 3600 }),
    redis,
    input,
    output,
  },
);

/** Splits `host:port`. */
export function parseNode(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(":");
  const host = text.slice(0, at);
  return { host: host.startsWith("[") ? host.slice(1, -1) : host, port: Number(text.slice(at + 1)) };
}
