import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../src/config/index.ts";
import { NO_INDEXIFY_OBSERVER } from "../../src/core/index.ts";
import { ReportQueue } from "../../src/doors/indexify/link/report-queue.ts";
import { LINK_TIMES, type LinkState, ServerLink } from "../../src/doors/indexify/link/server-link.ts";
import { readServerChannel } from "../../src/open-indexify-inputs.ts";
import { openChannel } from "../../src/std/grpc/open-channel.ts";
import { Scope, systemClock } from "../../src/std/index.ts";
import { silentLog } from "../../src/telemetry/silent-log.ts";
import { DoubleServer } from "../support/indexify/double-server.ts";
import { poll } from "../support/poll.ts";
import type { TestCa, TestCertificate } from "../support/test-ca.ts";
import { openTestCa } from "../support/test-ca.ts";
import { openTlsFront, type TlsFront } from "../support/tls-front.ts";

let ours: TestCa;
let strange: TestCa;
let server: TestCertificate;
let client: TestCertificate;
let folder: string;

beforeAll(async () => {
  [ours, strange] = await Promise.all([openTestCa(), openTestCa()]);
  server = await ours.issue({ names: "DNS:server.test,IP:127.0.0.1" });
  client = await ours.issue({ names: "DNS:host-1" });
  folder = await mkdtemp(join(tmpdir(), "hearth-link-tls-"));
});
afterAll(async () => {
  await ours[Symbol.asyncDispose]();
  await strange[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface TlsWorld extends AsyncDisposable {
  readonly double: DoubleServer;
  readonly front: TlsFront;
  readonly state: LinkState;
}

/** The double behind TLS, and a link to it with the settings of an operator. */
async function openWorld(
  settings: Readonly<Record<string, string>>,
  { certificate = server, clientCa }: { certificate?: TestCertificate; clientCa?: string } = {},
): Promise<TlsWorld> {
  const scope = new Scope();
  const double = scope.use(new DoubleServer());
  await double.start();
  const port = Number(double.address.split(":")[1]);
  const front = scope.use(await openTlsFront(port, certificate, clientCa));
  const channel = scope.use(openChannel(await channelOf(front.port, settings)));
  const reports = new ReportQueue({
    ...{ fragmentBytes: 1_000_000, limit: 100, kept: [] },
    journal: { add: () => undefined, remove: () => undefined },
    onDropped: () => undefined,
    onAdded: () => undefined,
  });
  const link = new ServerLink({
    ...{ channel, reports, clock: systemClock, log: silentLog, observer: NO_INDEXIFY_OBSERVER },
    executorId: "host-1",
    times: { ...LINK_TIMES, heartbeatMs: 100, heartbeatRetry: { firstMs: 50, maxMs: 200 } },
    fullState: () => ({
      ...{ hostname: "h", version: "1" },
      totalContainerResources: { cpuCount: 1, memoryBytes: 1n, diskBytes: 1n },
    }),
    onCommand: () => true,
    onResult: () => undefined,
  });
  scope.spawn((signal) => link.run(signal));
  return {
    ...{ double, front },
    get state() {
      return link.state;
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

function channelOf(port: number, settings: Readonly<Record<string, string>>, scheme = "https") {
  const named = Object.entries(settings).map(([name, value]) => [`HEARTH_INDEXIFY_TLS_${name}`, value]);
  const { loaded } = loadConfig({
    env: {
      HOME: "/nobody",
      HEARTH_INDEXIFY_SERVER_ADDR: `${scheme}://127.0.0.1:${port}`,
      ...Object.fromEntries(named),
    },
    cwd: "/",
    isRoot: false,
  });
  if (loaded === undefined) throw new Error("the settings are wrong");
  return readServerChannel(loaded.config.indexify);
}

const isReady = (world: TlsWorld): Promise<void> =>
  poll("the server knows the host", () => world.state.type === "ready" || JSON.stringify(world.state));

/** A server tells only after the handshake what it thinks of it: its words, or no more than that it hung up, may come first. */
const REFUSED = /certificate required|unknown ca|want another certificate|ECONNRESET|closed|dropped/i;

/** Waits until health says this. A heartbeat that was under way when a connection was cut may say so first. */
async function hasTrouble(world: TlsWorld, reason: RegExp): Promise<void> {
  await poll(
    "it is told",
    () =>
      (world.state.type === "unhealthy" && reason.test(world.state.reason)) || JSON.stringify(world.state),
  );
}

test("a server whose certificate is of the named authority is believed, by its address or by a name that is set", async () => {
  await using byAddress = await openWorld({ CA: ours.certFile });
  await isReady(byAddress);
  await using byName = await openWorld(
    { CA: ours.certFile, NAME: "server.test" },
    { certificate: await ours.issue({ names: "DNS:server.test" }) },
  );
  await isReady(byName);
  expect(byAddress.front.shown).toEqual([""]);
  expect(byName.double.violations).toEqual([]);
});

test.for([
  {
    what: "of another authority",
    reason: /self-signed|unable to (verify|get)/,
    settings: () => ({ CA: strange.certFile }),
  },
  {
    what: "of an authority that the system does not know",
    reason: /self-signed|unable to (verify|get)/,
    settings: () => ({}),
  },
  {
    what: "of another name",
    reason: /other\.test/,
    settings: () => ({ CA: ours.certFile, NAME: "other.test" }),
  },
])("a certificate $what is refused, and health says so", async ({ reason, settings }) => {
  await using world = await openWorld(settings());
  await hasTrouble(world, reason);
  expect(world.double.heartbeats).toEqual([]);
});

test("a certificate that is over is refused, and health says so", async () => {
  const certificate = await ours.issue({ names: "IP:127.0.0.1", days: -1 });
  await using world = await openWorld({ CA: ours.certFile }, { certificate });
  await hasTrouble(world, /expired/);
  // The server gets a good one: nobody has to do anything here.
  world.front.change(server);
  await isReady(world);
});

test("a server that asks for a certificate is shown the host's; without one, or with a stranger's, it refuses", async () => {
  const clientCa = ours.cert;
  const pair = { CERT: client.certFile, KEY: client.keyFile };
  await using good = await openWorld({ CA: ours.certFile, ...pair }, { clientCa });
  await isReady(good);
  expect(good.front.shown).toEqual(["02"]);
  await using none = await openWorld({ CA: ours.certFile }, { clientCa });
  await hasTrouble(none, REFUSED);
  const other = await strange.issue({ names: "DNS:host-1" });
  const theirs = { CERT: other.certFile, KEY: other.keyFile };
  await using stranger = await openWorld({ CA: ours.certFile, ...theirs }, { clientCa });
  await hasTrouble(stranger, REFUSED);
  expect([...none.double.heartbeats, ...stranger.double.heartbeats]).toEqual([]);
});

test("files that are replaced are used from the next connection on, also while they are half replaced", async () => {
  const files = { CA: join(folder, "ca.pem"), CERT: join(folder, "own.pem"), KEY: join(folder, "own.key") };
  await copyFile(ours.certFile, files.CA);
  await copyFile(client.certFile, files.CERT);
  await copyFile(client.keyFile, files.KEY);
  await using world = await openWorld(files, { clientCa: ours.cert });
  await isReady(world);
  const { front, double } = world;
  expect(front.shown).toEqual(["02"]);

  const next = await ours.issue({ names: "DNS:host-1" });
  await copyFile(next.certFile, files.CERT);
  front.hangUp();
  await poll(
    "the old pair is used while the new one is not whole",
    () => front.shown.length > 1 || "not yet",
  );
  expect(new Set(front.shown)).toEqual(new Set(["02"]));
  await isReady(world);
  await copyFile(next.keyFile, files.KEY);
  let connections = front.shown.length;
  front.hangUp();
  await poll("the new pair is used", () => {
    if (Number.parseInt(front.shown.at(-1) ?? "", 16) > 2) return true;
    // A connection that was begun before the pair was whole is used for as long as it lasts.
    if (front.shown.length > connections) front.hangUp();
    connections = front.shown.length;
    return front.shown.join();
  });
  await isReady(world);

  // The server moves to another authority; the host follows when its file says so.
  front.change(await strange.issue({ names: "IP:127.0.0.1" }));
  await hasTrouble(world, /self-signed|unable to (verify|get)/);
  await writeFile(files.CA, `${ours.cert}${strange.cert}`);
  await isReady(world);
  expect(double.executor("host-1").registrations).toBe(1);
  expect(double.violations).toEqual([]);
}, 180_000);

test("files that hold no certificate, a key of another, and files that http:// would not use end the start", async () => {
  const empty = join(folder, "empty.pem");
  await writeFile(empty, "no certificate\n");
  const wrong = async (settings: Readonly<Record<string, string>>, scheme?: string) =>
    await channelOf(1, settings, scheme).then(
      () => "it was taken",
      (error: unknown) => error,
    );
  const other = await ours.issue({ names: "DNS:host-1" });
  expect(await wrong({ CA: empty })).toMatchObject({ facts: { field: "indexify.tls.ca" } });
  expect(await wrong({ CERT: empty, KEY: client.keyFile })).toMatchObject({
    facts: { field: "indexify.tls.cert" },
  });
  expect(await wrong({ CERT: client.certFile, KEY: other.keyFile })).toMatchObject({
    facts: { field: "indexify.tls.key" },
  });
  expect(await wrong({ CA: ours.certFile }, "http")).toMatchObject({
    facts: { field: "indexify.server_addr" },
  });
});
