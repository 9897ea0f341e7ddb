import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { registrationRequest } from "../../../contract/executer-tracker/index.ts";
import { Secret } from "../../../core/index.ts";
import { systemClock } from "../../../std/index.ts";
import { cloudMetadata, isTrue } from "./cloud-metadata.ts";
import { countCores, readHostFacts } from "./host-facts.ts";
import { keepIdentity, selfRegistration } from "./identity.ts";
import type { RegisterOptions } from "./register.ts";
import { register } from "./register.ts";

const POOL = "11111111-2222-4333-8444-555555555555";
const GIVEN = {
  uuid: "9f0c2d6e-1111-4222-8333-444455556666",
  redis_streams: ["gromacs_requests"],
  redis_consumer_group: "all_consumers",
  redis_consumer_name: "9f0c",
};
const INSTANCE = {
  machineType: "projects/1/machineTypes/c2",
  name: "vm-1",
  id: 1234567890123456789n,
  scheduling: { preemptible: "TRUE" },
  attributes: { "ssh-keys": "secret" },
};

interface Answer {
  readonly status?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

let server: Server;
let asked: { readonly url: string; readonly body: string; readonly headers: IncomingMessage["headers"] }[];
let answer: (url: string) => Answer;
let host: string;
beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { url = "", headers } = request;
      asked.push({ url, body: Buffer.concat(chunks).toString(), headers });
      const { status = 200, body = "", headers: more = {} } = answer(url);
      response.writeHead(status, more).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const log: string[] = [];
function options(more: Partial<RegisterOptions> = {}): RegisterOptions {
  return {
    apiUrl: `http://${host}`,
    token: new Secret(""),
    executerTypes: ["gromacs"],
    resourcePool: "none",
    machineGroup: "none",
    metadata: cloudMetadata("127.0.0.1:9", "here"),
    capacity: () => ({ cpuMillis: 1500, memoryBytes: 1e9 }),
    clock: systemClock,
    log: { log: (_level, event, fields) => log.push(`${event} ${String(fields?.["error"])}`) },
    ...more,
  };
}
const never = (): AbortSignal => new AbortController().signal;

describe("registering", () => {
  test("I2, D24: what is sent is of the contract's schema, counts what the limits leave, and is never null", async () => {
    answer = () => ({ status: 202, body: JSON.stringify(GIVEN) });
    expect(await register(options(), never())).toMatchObject(GIVEN);
    const body: unknown = JSON.parse(asked[0]!.body);
    expect(asked[0]!.url).toBe("/executers/register");
    expect(asked[0]!.headers["content-type"]).toBe("application/json");
    expect(registrationRequest.parse(body)).toMatchObject({
      supported_executer_types: ["gromacs"],
      cpu_count_logical: 1,
      cpu_count_physical: 1,
      memory: 1e9,
      host_info: { host_type: "inductiva-hardware", hostname: "here" },
    });
    expect(body).not.toHaveProperty("resource_pool_id");
    expect(asked[0]!.headers).not.toHaveProperty("x-api-key");
  });

  test("D21: with a token it is sent; with a pool that is said", async () => {
    answer = () => ({ status: 202, body: JSON.stringify(GIVEN) });
    await register(options({ token: new Secret("s3"), resourcePool: POOL }), never());
    expect(asked[0]!.headers["x-api-key"]).toBe("s3");
    expect(JSON.parse(asked[0]!.body)).toMatchObject({ resource_pool_id: POOL });
  });

  test.each([
    [
      "a 422 with its text",
      { status: 422, body: '{"detail":[{"loc":["body","cpu_info"],"msg":"none","type":"t"}]}' },
      /422.*cpu_info/,
    ],
    ["a success that is no 202", { status: 200, body: JSON.stringify(GIVEN) }, /200/],
    [
      "an id that is no UUID of version 4",
      { status: 202, body: JSON.stringify({ ...GIVEN, uuid: "1" }) },
      /uuid/,
    ],
    ["what is not JSON", { status: 202, body: "<html>" }, /not JSON/],
  ])("%s is said, and it is tried again", async (_title, refusal, said) => {
    log.length = 0;
    let tries = 0;
    answer = () => {
      tries += 1;
      return tries === 1 ? refusal : { status: 202, body: JSON.stringify(GIVEN) };
    };
    expect(await register(options(), never())).toMatchObject(GIVEN);
    expect(tries).toBe(2);
    expect(log.join()).toMatch(said);
  });

  test("it ends when it is told to", async () => {
    answer = () => ({ status: 500 });
    const stop = new AbortController();
    const registering = register(options(), stop.signal);
    stop.abort(new Error("enough"));
    await expect(registering).rejects.toThrow("enough");
  });
});

describe("Google's metadata", () => {
  const flavour = { "Metadata-Flavor": "Google" };
  const text = JSON.stringify(INSTANCE, (_key, value: unknown) =>
    typeof value === "bigint" ? "ID" : value,
  ).replace('"ID"', String(INSTANCE.id));

  test("a machine of the cloud says what it is, without its people's keys, and its whole id", async () => {
    answer = (url) => ({ body: url.includes("recursive") ? text : "", headers: flavour });
    const info = await cloudMetadata(host, "here").hostInfo(never());
    expect(info).toMatchObject({
      host_type: "gcloud",
      vm_type: INSTANCE.machineType,
      vm_name: "vm-1",
      vm_id: "1234567890123456789",
      preemptible: true,
    });
    expect(JSON.stringify(info)).not.toContain("ssh-keys");
    expect(asked.every(({ headers }) => headers["metadata-flavor"] === "Google")).toBe(true);
  });

  test("a pool comes from there unless it is set; what is not there is absent", async () => {
    answer = (url) => {
      if (url.endsWith("resource_pool")) return { body: `${POOL}\n`, headers: flavour };
      if (url.endsWith("machine_group")) return { status: 404 };
      return url === "/executers/register"
        ? { status: 202, body: JSON.stringify(GIVEN) }
        : { body: url.includes("recursive") ? text : "", headers: flavour };
    };
    const metadata = cloudMetadata(host, "here");
    await register(options({ metadata, resourcePool: "auto", machineGroup: "auto" }), never());
    const { body } = asked.find(({ url }) => url === "/executers/register")!;
    expect(JSON.parse(body)).toMatchObject({ resource_pool_id: POOL });
    expect(JSON.parse(body)).not.toHaveProperty("machine_group_id");
  });

  test("an answer without the header, and nobody to ask, are no cloud", async () => {
    answer = () => ({});
    expect(await cloudMetadata(host, "here").isCloud(never())).toBe(false);
    expect(await cloudMetadata("127.0.0.1:9", "here").value("preempted", never())).toBeUndefined();
  });

  test.each([
    ["TRUE", true],
    ["t", true],
    ["True\n", true],
    ["FALSE", false],
    ["", false],
    [undefined, false],
  ])("%j means %s", (value, is) => {
    expect(isTrue(value)).toBe(is);
  });
});

describe("a registration that is kept", () => {
  test("is used again for the same, and not for something else or after its end", async () => {
    const folder = await mkdtemp(join(tmpdir(), "hearth-identity-"));
    try {
      const identity = keepIdentity(join(folder, "executer.json"));
      const mine = selfRegistration(["a", "b"], "owner");
      expect(mine).toMatchObject({
        redis_streams: ["a_requests", "b_requests"],
        redis_consumer_name: "owner",
      });
      expect(await identity.recall({ api: 1 })).toBeUndefined();
      await identity.keep(mine, { api: 1 });
      expect(await keepIdentity(join(folder, "executer.json")).recall({ api: 1 })).toEqual(mine);
      expect(await identity.recall({ api: 2 })).toBeUndefined();
      await identity.forget();
      expect(await identity.recall({ api: 1 })).toBeUndefined();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test("cores are counted by socket and core, and never exceed what the limits leave", async () => {
  expect(
    countCores(
      "physical id : 0\ncore id : 0\n\nphysical id : 0\ncore id : 0\n\nphysical id : 1\ncore id : 0\n",
    ),
  ).toBe(2);
  expect(countCores("nothing")).toBeUndefined();
  const facts = await readHostFacts({ cpuMillis: 100, memoryBytes: 5.5 });
  expect(facts).toMatchObject({ cpu_count_logical: 1, cpu_count_physical: 1, memory: 5 });
  expect(typeof facts.cpu_info).toBe("string");
});
