import * as z from "zod";
import { NETWORK_POLICIES, parseAddress, parseAllowEntry, RUNTIME_CLASSES, Secret } from "../core/index.ts";
import { choice, list, number, records, seconds, secret, section, text, toggle, whole } from "./leaf.ts";

const KIBIBYTE = 1024;
const MEBIBYTE = KIBIBYTE * KIBIBYTE;

/** What a token allows: looking, calling tasks, changing the executor. */
export const TOKEN_SCOPES = ["read", "run", "control"] as const;
export type TokenScope = (typeof TOKEN_SCOPES)[number];

const tokenEntry = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  token: z
    .string()
    .min(1)
    .max(4096)
    .transform((value) => new Secret(value))
    .optional(),
  token_file: z.string().min(1).optional(),
  scopes: z.array(z.enum(TOKEN_SCOPES)).min(1),
});

const runtimeEntry = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/),
  isolation: z.enum(RUNTIME_CLASSES),
  limits: z.enum(["required", "optional"]).default("required"),
});

export const runtimes = records(runtimeEntry, {
  isLive: true,
  expects: `a list of {name, isolation, limits}, where isolation is one of ${RUNTIME_CLASSES.join(", ")}, and limits required or optional`,
  about:
    "The engine's runtimes that tasks may run in, and the class that each is for; one for each class. A runtime whose probe shows that limits do not hold is used only with `limits: optional`.",
});

/** What the engine's library can be given; behind `unix://` stands a path, whatever it is. */
function isEngineAddress(text: string): boolean {
  if (text === "" || text.startsWith("unix://")) return true;
  return URL.canParse(text) && new URL(text).hostname !== "";
}

const bytes = (value: number, about: string) =>
  whole({ default: value, min: KIBIBYTE, max: KIBIBYTE * MEBIBYTE, unit: "bytes", about });

export const http = section("The HTTP door: the contract's own paths and `/v1`.", {
  host: text("", {
    defaultText: "`127.0.0.1`; in our container image the container's own address",
    about: "The address to listen on. Beyond this host, set a token.",
  }),
  port: whole({ default: 2591, min: 0, max: 65_535, about: "The port to listen on; 0 takes a free one." }),
  token: secret({ about: "A bearer token for everything. Once any token is set, every request needs one." }),
  token_file: text("", { isPath: true, about: "A file that holds such a token." }),
  tokens: records(tokenEntry, {
    expects: "a list of {name, token or token_file, scopes}",
    about: `Further tokens. Scopes: ${TOKEN_SCOPES.join(", ")}.`,
  }),
  allowed_hosts: list([], {
    about: "Names besides `localhost` and plain addresses that the `Host` header may hold.",
  }),
  allowed_origins: list([], {
    about: "Origins of web pages that may use the API, such as `https://a.example`.",
  }),
  body_bytes: bytes(32 * MEBIBYTE, "The longest request body that is held in memory."),
  answer_bytes: bytes(32 * MEBIBYTE, "The longest answer of a task that is held in memory."),
  record_bytes: bytes(16 * MEBIBYTE, "The longest answer that is kept with its run."),
  held_bytes: bytes(256 * MEBIBYTE, "All bodies and answers held in memory together."),
  header_bytes: bytes(16 * KIBIBYTE, "The longest request header."),
  header_timeout_s: seconds(5, { about: "How long a request's header may take to arrive." }),
  body_timeout_s: seconds(10, { about: "How long a request's body may bring less than 1 KB a second." }),
  write_timeout_s: seconds(30, { about: "How long a client may leave its answer unread." }),
  keep_alive_s: seconds(60, { about: "How long a connection may wait for its next request." }),
  connections: whole({ default: 1024, min: 1, max: 65_535, about: "Connections that are open at once." }),
  connections_per_peer: whole({ default: 512, min: 1, max: 65_535, about: "The same from one address." }),
  active_runs: whole({ default: 1000, min: 1, max: 100_000, about: "Recorded calls that run at once." }),
  close_grace_s: seconds(
    10,
    { about: "How long a stop waits for answers under way." },
    { isZeroAllowed: true },
  ),
});

export const tasks = section("How tasks start, run and stay warm.", {
  dirs: list([], {
    isPath: true,
    defaultText: "`tasks` in the working directory and in `state_dir`, and Hearth's own examples",
    about:
      "Folders whose subfolders are task folders, for the process driver; one that is not there is told of in the log, and looked for again.",
  }),
  slots: whole({
    default: 1024,
    min: 1,
    max: 65_535,
    isLive: true,
    about: "Calls that one sandbox serves side by side.",
  }),
  sandboxes_per_task: whole({
    default: 1,
    min: 1,
    max: 1000,
    isLive: true,
    about: "Sandboxes that one task may have when the slots of the others are full.",
  }),
  queue: whole({
    default: 100,
    min: 0,
    max: 100_000,
    isLive: true,
    about: "Requests that may wait for room, over all tasks.",
  }),
  queue_timeout_s: seconds(30, { isLive: true, about: "How long a request may wait for room." }),
  pass_over_s: seconds(
    5,
    { isLive: true, about: "A smaller request may pass a bigger one that has waited less than this." },
    { isZeroAllowed: true },
  ),
  pull_timeout_s: seconds(600, { isLive: true, about: "How long fetching an image may take." }),
  start_timeout_s: seconds(60, {
    isLive: true,
    about: "How long a task may take from its start to a port that accepts.",
  }),
  run_timeout_s: seconds(900, { isLive: true, about: "How long a task may take to answer." }),
  stop_grace_s: seconds(
    10,
    { isLive: true, about: "How long a task may take to end after it is asked to." },
    { isZeroAllowed: true },
  ),
  on_disconnect: choice(["finish", "cancel"], "finish", {
    isLive: true,
    about: "A call whose caller went away runs on and its answer is dropped, or its sandbox is given up.",
  }),
  eviction_order: choice(["recency", "cost"], "recency", {
    isLive: true,
    about:
      "Which idle sandbox is lost first: the one unused for longest, or the one that is cheapest to start again.",
  }),
  refresh_images: toggle(true, {
    isLive: true,
    about: "Let a cold start ask the registry if the tag has moved.",
  }),
});

export const docker = section("The docker driver.", {
  host: text(
    "",
    {
      otherEnv: ["DOCKER_HOST"],
      defaultText: "`unix:///var/run/docker.sock`",
      about: "Where the engine listens: `unix://` or `tcp://`.",
    },
    {
      pattern: /^((unix|tcp|http|https):\/\/.+)?$/,
      expects: "unix:///path or tcp://host:port",
      isRight: isEngineAddress,
    },
  ),
  network_range: text(
    "10.213.0.0/16",
    {
      about: "The addresses from which task networks are cut; must not be in use on the host.",
    },
    { pattern: /^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/, expects: "an IPv4 range such as 10.213.0.0/16" },
  ),
  networks_ahead: whole({
    default: 10,
    min: 0,
    max: 64,
    about: "Task networks that are made ahead of need.",
  }),
  reach: choice(["auto", "direct", "member", "published"], "auto", {
    about:
      "How the daemon reaches tasks: by their address, as a member of their networks (in a container), or by a port published on loopback.",
  }),
  cert_path: text("", {
    otherEnv: ["DOCKER_CERT_PATH"],
    isPath: true,
    about: "A folder with ca.pem, cert.pem and key.pem, for an engine behind TLS.",
  }),
  registry_config: text("", {
    isPath: true,
    defaultText: "`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`",
    about: "A Docker client's file with registry credentials; read anew for each pull.",
  }),
  pull_stall_s: seconds(120, { about: "A fetch that shows no progress for this long has failed." }),
  owner: text(
    "",
    {
      defaultText: "a name kept in `state_dir`",
      about:
        "Whose sandboxes these are: at its start a daemon takes over or removes what its owner left behind.",
    },
    {
      pattern: /^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$/,
      expects: "a name of up to 63 letters, digits, dots, dashes",
    },
  ),
});

export const gpus = section("GPUs, where `has_gpu` turns them on (docs/gpus.md).", {
  only: list(
    [],
    {
      defaultText: "all cards that the driver shows",
      about: "Indices or UUIDs of the cards that tasks may be given; no other one is ever touched.",
    },
    {
      isRight: (entry) => /^(\d{1,3}|GPU-[0-9a-f-]{1,64})$/i.test(entry),
      expects:
        "a list of indices or UUIDs of cards, such as 0, 2 or GPU-8f0c1c1e-0000-1111-2222-333344445555",
      takesNumbers: true,
    },
  ),
  busy_percent: number({
    default: 10,
    max: 100,
    isZeroAllowed: true,
    unit: "percent",
    isLive: true,
    about:
      "A card that computes more than this, or whose memory is used more than this, is somebody else's while no task of ours holds it.",
  }),
  share: toggle(false, {
    isLive: true,
    about:
      "Let tasks that ask for memory of a card share one. If not, they get the whole card: more than they asked for, never less.",
  }),
  poll_ms: whole({
    default: 1000,
    min: 100,
    max: 60_000,
    unit: "milliseconds",
    about: "The pause between two looks at the cards.",
  }),
});

export const network = section("What tasks can reach. `docs/network.md` says what each word means.", {
  default: choice(NETWORK_POLICIES, "internal", {
    about: "For calls that ask for nothing: no other place, what `network.allow` names, or the outside too.",
  }),
  most: choice(NETWORK_POLICIES, "egress", { about: "What a call may ask for at most." }),
  allow: list(
    [],
    {
      about:
        "Places that tasks of `internal` and `egress` may reach, such as `10.0.0.5:9000` or `10.1.0.0/16`.",
    },
    {
      isRight: (entry) => parseAllowEntry(entry) !== undefined,
      expects: "a list of IPv4 addresses or ranges, each with or without a port, such as 10.0.0.5:9000",
    },
  ),
  dns: list(
    [],
    {
      defaultText: "those of this host",
      about: "Name servers of tasks with `egress`; port 53 of them is open to these tasks.",
    },
    {
      isRight: (entry) => parseAddress(entry) !== undefined && !entry.includes(":"),
      expects: "a list of IPv4 addresses",
    },
  ),
  unfiltered: toggle(false, {
    about:
      "Give `egress` also where nothing can keep it from private networks, this host and cloud metadata.",
  }),
});

export const process = section("The process driver.", {
  bubblewrap: choice(["auto", "on", "off"], "auto", {
    about: "Wrap tasks with bubblewrap: where it works, always (or refuse to start), never.",
  }),
  network: choice(["auto", "host"], "auto", {
    about: "A network for each sandbox where that works; or the host's, on which nothing is kept from tasks.",
  }),
  network_range: text(
    "10.212.0.0/16",
    { about: "The addresses from which the networks are cut; what of it the host uses is left out." },
    { pattern: /^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/, expects: "an IPv4 range such as 10.212.0.0/16" },
  ),
});

export const receipts = section(
  "The signed chain of receipts (`docs/receipts.md`): one entry for every attempt. The oldest go first.",
  {
    enable: toggle(true, { about: "Record every attempt. What was recorded before stays readable." }),
    records: whole({
      default: 500_000,
      min: 1000,
      max: 100_000_000,
      about: "So many entries are kept at most.",
    }),
    days: number({ default: 30, max: 36_500, unit: "days", about: "So long an entry is kept at most." }),
    megabytes: whole({
      default: 512,
      min: 8,
      max: 1_048_576,
      unit: "MB",
      about: "So much disk the entries may take.",
    }),
  },
);
