import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { NetworkPolicy, NetworkSettings } from "../../src/core/index.ts";
import { DEFAULT_NETWORK_SETTINGS, parseAllowEntry } from "../../src/core/index.ts";
import type { ProcessDriverOptions } from "../../src/drivers/process/index.ts";
import { NetworkNames } from "../../src/drivers/process/network/names.ts";
import { tableName } from "../../src/std/index.ts";
import { freshName } from "../support/fresh-name.ts";
import type { NetworkLife, Service } from "../support/network-life-caller.ts";
import { beginNetworkLife } from "../support/network-life-caller.ts";
import type { ProcessHarness } from "../support/process-harness.ts";
import { openProcessHarness } from "../support/process-harness.ts";
import type { WalledHost } from "../support/walled-host.ts";
import { BEYOND, HOST_ADDRESS_6, HOST_ADDRESSES, openWalledHost } from "../support/walled-host.ts";

const POLICIES: readonly NetworkPolicy[] = ["none", "internal", "egress"];
const [PORT, OTHER_PORT] = [7070, 7071];
const REFUSED = expect.stringMatching(/^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EACCES|ENOENT)$/) as string;

const UNRESOLVED = expect.stringMatching(/^E/) as string;

/** What a task dials, by a name for the reader. */
type Targets = Readonly<Record<string, Service>>;

const at = (host: string, port = PORT): Service => ({ host, port });

function settingsOf(more: Partial<NetworkSettings> = {}, allow: readonly string[] = []): NetworkSettings {
  return {
    ...DEFAULT_NETWORK_SETTINGS,
    dns: [BEYOND.names],
    allow: allow.flatMap((entry) => parseAllowEntry(entry) ?? []),
    ...more,
  };
}

/** Far above what an answer takes on a busy machine. */
const SILENCE_MS = 15_000;

/** A program that dials every target and brings back the first words of whoever answers, or why nobody does. */
function dialling(targets: Targets): string {
  return `export default (require) => Promise.all(Object.entries(${JSON.stringify(targets)}).map(([name, target]) =>
    new Promise((resolve) => {
      const socket = require("net").connect(target);
      socket.setTimeout(${SILENCE_MS}, () => socket.destroy(new Error("silence")));
      socket.on("data", (data) => { resolve([name, String(data).slice(0, 60)]); socket.destroy(); });
      socket.on("error", (error) => resolve([name, error.code ?? error.message]));
      socket.on("end", () => resolve([name, "ended"]));
    }))).then(Object.fromEntries)`;
}

const NAMES = `export default async (require) => {
  const dns = require("dns").promises;
  const resolver = new dns.Resolver({ timeout: 5000, tries: 2 });
  const patience = new Promise((resolve) => setTimeout(resolve, 50000, "silence"));
  const ask = (question) => Promise.race([patience, question.then(String, (error) => error.code)]);
  return await Promise.all([
    ask(dns.lookup("probe.example", { family: 4 }).then(({ address }) => address)),
    ask(resolver.resolve4("probe.example")),
  ]);
}`;

const reason = process.getuid?.() === 0 ? undefined : "networks for tasks need root";

describe.skipIf(reason !== undefined)(reason ?? "what process tasks reach", () => {
  let harness: ProcessHarness;
  let host: WalledHost;
  let owner: string;
  let life: NetworkLife | undefined;

  beforeAll(async () => {
    harness = await openProcessHarness();
    await harness.addTask("tells", { command: ["node", "behave.mjs", "tells"] });
  });
  afterAll(async () => {
    await harness[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    host = await openWalledHost();
    owner = freshName("policies");
  });
  afterEach(async () => {
    await life?.[Symbol.asyncDispose]();
    life = undefined;
    await host[Symbol.asyncDispose]();
  });

  const unix = (): Service => ({ path: `${harness.root}/${owner}.sock` });
  const abstract = (): Service => ({ path: `\0${owner}` });
  async function begin(
    network: NetworkSettings = settingsOf(),
    more: Partial<ProcessDriverOptions> = {},
    services: readonly Service[] = [],
  ): Promise<NetworkLife> {
    const driver: ProcessDriverOptions = {
      owner,
      taskDirectories: [harness.taskDirectory],
      stateDirectory: `${harness.root}/${owner}`,
      network,
      ...more,
    };
    life = await beginNetworkLife(host, { driver, services });
    return life;
  }
  const start = async (policy: NetworkPolicy | "default"): Promise<number> =>
    (await life?.ask({ type: "start", image: "test/tells", network: policy })) as number;
  const dial = async (targets: Targets, where: number | "host"): Promise<Record<string, string>> =>
    (await life?.ask({ type: "look", program: dialling(targets), where })) as Record<string, string>;
  const endpoint = async (sandbox: number): Promise<{ host: string; port: number }> =>
    (await life?.ask({ type: "endpoint", sandbox })) as { host: string; port: number };
  const resolving = async (where: number): Promise<unknown> =>
    await life?.ask({ type: "look", program: NAMES, where });

  /** What of the owner is on the walled host. */
  async function traces(): Promise<readonly string[]> {
    const names = new NetworkNames(owner);
    const [rules, links, spaces, pass] = await Promise.all([
      host.run("nft", "list", "tables"),
      host.run("ls", "/sys/class/net"),
      host.run("ls", "/run/netns"),
      host.run("iptables", "-S", "FORWARD"),
    ]);
    return [
      ...rules.split("\n").filter((line) => line.includes(tableName(owner))),
      ...`${links}\n${spaces}`.split(/\s+/).filter((name) => names.indexOf(name) !== undefined),
      ...pass.split("\n").filter((line) => line.includes(names.linkPrefix)),
    ];
  }

  const everything = (): Targets => ({
    ...Object.fromEntries(HOST_ADDRESSES.map((address) => [`host ${address}`, at(address)])),
    metadata: at(BEYOND.metadata),
    private: at(BEYOND.private),
    otherPrivate: at(BEYOND.otherPrivate),
    carrier: at(BEYOND.carrier),
    public: at(BEYOND.public),
    ipv6: at(HOST_ADDRESS_6),
    unix: unix(),
    abstract: abstract(),
  });
  const services = (): readonly Service[] => [
    { host: "::", port: PORT },
    { host: "::", port: OTHER_PORT },
    unix(),
    abstract(),
  ];
  /** Each probe must be able to succeed, or its failure inside a task says nothing. */
  async function holdThatAllAnswer(targets: Targets): Promise<void> {
    for (const [name, answer] of Object.entries(await dial(targets, "host")))
      expect([name, answer]).toEqual([name, expect.stringMatching(/^(host|beyond) /)]);
  }
  async function hostEnd(sandbox: number): Promise<Service> {
    const task = await endpoint(sandbox);
    return at(task.host.replace(/\d+$/, (last) => String(Number(last) - 1)));
  }

  test.each(["accepts", "drops"])(
    "S: each policy reaches what it should and nothing else, on a host that %s what it forwards",
    async (how) => {
      await host.run("iptables", "-P", "FORWARD", how === "drops" ? "DROP" : "ACCEPT");
      const { networks } = await (await begin(settingsOf(), {}, services())).facts();
      expect(networks).toEqual({ default: "internal", offered: POLICIES, isFiltered: true, reasons: [] });
      await holdThatAllAnswer(everything());
      const neighbour = await start("default");
      for (const policy of POLICIES) {
        const sandbox = await start(policy);
        const targets = {
          ...everything(),
          hostEnd: await hostEnd(sandbox),
          neighbour: await endpoint(neighbour),
        };
        const wanted = Object.fromEntries(Object.keys(targets).map((name) => [name, REFUSED]));
        // Seen from there, it came from the host.
        if (policy === "egress") wanted["public"] = `beyond ${HOST_ADDRESSES[0]}`;
        expect([policy, await dial(targets, sandbox)]).toEqual([policy, wanted]);
        expect([policy, await resolving(sandbox)]).toEqual([
          policy,
          policy === "egress" ? [BEYOND.public, BEYOND.public] : [UNRESOLVED, UNRESOLVED],
        ]);
      }
      expect(await traces()).not.toEqual([]);
      await life?.ask({ type: "close" });
      expect(await traces()).toEqual([]);
    },
  );

  test("the list opens its entries, by address and port, and not for none; a task that comes so is known as one", async () => {
    const [here] = HOST_ADDRESSES;
    const list = [`${BEYOND.private}:${PORT}`, "192.168.77.0/24", `${here}:${PORT}`];
    await host.run("iptables", "-P", "FORWARD", "DROP");
    await begin(settingsOf({}, list), {}, services());
    const listed: Targets = {
      private: at(BEYOND.private),
      anyPort: at(BEYOND.otherPrivate, OTHER_PORT),
      here: at(here),
    };
    const unlisted: Targets = {
      privateOther: at(BEYOND.private, OTHER_PORT),
      hereOther: at(here, OTHER_PORT),
      alsoHere: at(HOST_ADDRESSES[1]),
      metadata: at(BEYOND.metadata),
      carrier: at(BEYOND.carrier),
      ipv6: at(HOST_ADDRESS_6),
    };
    await holdThatAllAnswer({ ...listed, ...unlisted });
    for (const policy of POLICIES) {
      const sandbox = await start(policy);
      const isOpen = policy !== "none";
      const beyond = isOpen ? `beyond ${here}` : REFUSED;
      const task = await endpoint(sandbox);
      expect([policy, await dial({ ...listed, ...unlisted, public: at(BEYOND.public) }, sandbox)]).toEqual([
        policy,
        {
          private: beyond,
          anyPort: beyond,
          here: isOpen ? `host ::ffff:${task.host} task` : REFUSED,
          ...Object.fromEntries(Object.keys(unlisted).map((name) => [name, REFUSED])),
          public: policy === "egress" ? beyond : REFUSED,
        },
      ]);
    }
    await life?.ask({ type: "close" });
    expect(await traces()).toEqual([]);
  });

  test("the host's own rules come before the pass, and are as they were when it is over", async () => {
    await host.run("iptables", "-P", "FORWARD", "DROP");
    await host.run("iptables", "-A", "FORWARD", "-d", `${BEYOND.public}/32`, "-j", "DROP");
    const before = await host.run("iptables", "-S", "FORWARD");
    await begin();
    const sandbox = await start("egress");
    expect(await dial({ public: at(BEYOND.public) }, sandbox)).toEqual({ public: "silence" });
    await life?.ask({ type: "close" });
    expect(await host.run("iptables", "-S", "FORWARD")).toBe(before);
  });

  test("another firewall that drops what it forwards is told, with its name", async () => {
    await host.run("nft", "add table inet strict");
    await host.run(
      "nft",
      "add chain inet strict way { type filter hook forward priority 0 ; policy drop ; }",
    );
    const { networks } = await (await begin()).facts();
    expect(networks.reasons).toEqual([expect.stringContaining("inet strict way")]);
  });

  test("where the host passes nothing on, egress is refused and says how to have it; the list opens what is on the host", async () => {
    const [here] = HOST_ADDRESSES;
    await host.run("sysctl", "-w", "net.ipv4.ip_forward=0");
    const list = settingsOf({}, [`${here}:${PORT}`, BEYOND.private]);
    const { networks } = await (await begin(list, {}, services())).facts();
    expect(networks.offered).toEqual(["none", "internal"]);
    await expect(start("egress")).rejects.toMatchObject({
      code: "NETWORK_UNAVAILABLE",
      message: expect.stringContaining("net.ipv4.ip_forward=1") as string,
    });
    expect(networks.reasons.join()).toContain("network.allow opens only what is on this host");
    const sandbox = await start("default");
    const answers = await dial({ here: at(here), beyond: at(BEYOND.private) }, sandbox);
    expect(answers["here"]).toMatch(/^host .* task$/);
    expect(answers["beyond"]).toMatch(/^(E|silence)/);
  });

  test("a range of one network is all the default's, and the others say why they are not offered", async () => {
    for (const policy of ["internal", "none", "egress"] as const) {
      owner = freshName("policies");
      const settings = settingsOf({ default: policy });
      const own = await begin(settings, { networkRange: "10.213.7.0/30" }, services());
      const { networks, reach } = await own.facts();
      expect([reach.network, networks.default, networks.offered]).toEqual(["own", policy, [policy]]);
      const sandbox = await start("default");
      const answers = await dial({ public: at(BEYOND.public), host: at(HOST_ADDRESSES[0]) }, sandbox);
      expect(answers).toEqual({
        public: policy === "egress" ? `beyond ${HOST_ADDRESSES[0]}` : REFUSED,
        host: REFUSED,
      });
      for (const other of POLICIES.filter((one) => one !== policy))
        await expect(start(other)).rejects.toMatchObject({
          code: "NETWORK_UNAVAILABLE",
          message: expect.stringContaining("too small") as string,
        });
      await own.ask({ type: "close" });
      expect(await traces()).toEqual([]);
      await own[Symbol.asyncDispose]();
    }
  });

  test("on the host's network only who asks for nothing in particular gets in, and the others are told why", async () => {
    const { networks } = await (await begin(settingsOf(), { avoid: ["network"] }, services())).facts();
    expect(networks).toMatchObject({ offered: [], isFiltered: false });
    expect(networks.default).toBeUndefined();
    for (const policy of POLICIES)
      await expect(start(policy)).rejects.toMatchObject({
        code: "NETWORK_UNAVAILABLE",
        message: expect.stringContaining("on the host's network") as string,
      });
    const sandbox = await start("default");
    expect(await dial({ host: at(HOST_ADDRESSES[0]) }, sandbox)).toEqual({
      host: expect.stringMatching(/^host /),
    });
  });

  test("M29: after kill -9 the rules hold what is left; the next life takes all of it over and removes it at its end", async () => {
    await host.run("iptables", "-P", "FORWARD", "DROP");
    const first = await begin();
    await start("egress");
    await start("internal");
    await first.kill();
    const left = await traces();
    expect(left.filter((line) => line.includes("table inet"))).toHaveLength(1);
    const next = await begin();
    await next.ask({ type: "sweep" });
    const sandbox = await start("egress");
    expect(await dial({ public: at(BEYOND.public), private: at(BEYOND.private) }, sandbox)).toEqual({
      public: `beyond ${HOST_ADDRESSES[0]}`,
      private: REFUSED,
    });
    // Taken over, not set a second time.
    expect((await traces()).filter((line) => line.startsWith("-A"))).toHaveLength(2);
    await next.ask({ type: "close" });
    expect(await traces()).toEqual([]);
  });
});
