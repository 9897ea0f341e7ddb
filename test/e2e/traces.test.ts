import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TaskFolders } from "../support/echo-tasks.ts";
import { makeTaskFolders } from "../support/echo-tasks.ts";
import { scrape } from "../support/exposition.ts";
import { poll } from "../support/poll.ts";
import { freePort, startDaemon } from "../support/start-daemon.ts";

/** As in OTLP's JSON. */
interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}

interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly spans: Span[];
  readonly paths: Set<string>;
}

/** What an OpenTelemetry collector is to us. */
async function openCollector(at = 0): Promise<Collector> {
  const spans: Span[] = [];
  const paths = new Set<string>();
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      paths.add(request.url ?? "");
      const body = JSON.parse(Buffer.concat(chunks).toString()) as {
        resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
      };
      spans.push(...body.resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans)));
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(at, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    paths,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = "00f067aa0ba902b7";

let tasks: TaskFolders;
beforeAll(async () => {
  tasks = await makeTaskFolders(["a"]);
});
afterAll(async () => {
  await tasks[Symbol.asyncDispose]();
});

const headers = (trace: string): Record<string, string> => ({ traceparent: `00-${trace}-${CALLER}-01` });

test("T: a call's trace arrives at a collector with the caller's trace id, and its task is told of our span", async () => {
  await using collector = await openCollector();
  await using daemon = await startDaemon({
    env: { ...tasks.env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
  });
  const v1 = await fetch(`${daemon.baseUrl}/v1/calls?image=a`, {
    method: "POST",
    headers: headers(TRACE),
    body: "headers",
  });
  expect(v1.status).toBe(200);
  const seen = JSON.parse(await v1.text()) as { readonly traceparent?: string };
  const legacyTrace = `a${TRACE.slice(1)}`;
  const legacy = await fetch(daemon.baseUrl, {
    method: "POST",
    headers: headers(legacyTrace),
    body: JSON.stringify({ id: "a", input: "headers" }),
  });
  const legacySeen = JSON.parse(((await legacy.json()) as { msg: string }).msg) as {
    readonly traceparent?: string;
  };
  const spansOf = (trace: string): Span[] => collector.spans.filter(({ traceId }) => traceId === trace);
  await poll("both traces arrived", () => {
    const names = [...spansOf(TRACE), ...spansOf(legacyTrace)].map(({ name }) => name);
    return names.filter((name) => name === "hearth.call").length === 2 || names.join();
  });

  const cold = spansOf(TRACE);
  const byName = new Map(cold.map((span) => [span.name, span]));
  expect([...byName.keys()].sort()).toEqual(
    [
      "hearth.admit",
      "hearth.call",
      "hearth.queue",
      "hearth.resolve",
      "hearth.sandbox.create",
      "hearth.sandbox.ready",
      "hearth.sandbox.start",
      "hearth.start",
      "hearth.task",
    ].sort(),
  );
  const root = byName.get("hearth.call");
  expect(root?.parentSpanId).toBe(CALLER);
  expect(seen.traceparent).toBe(`00-${TRACE}-${root?.spanId}-01`);
  expect(byName.get("hearth.start")?.parentSpanId).toBe(byName.get("hearth.queue")?.spanId);
  const runId = root?.attributes.find(({ key }) => key === "hearth.run_id")?.value["stringValue"];
  expect(runId).toBe(v1.headers.get("hearth-run-id"));
  for (const span of cold) {
    expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
    expect(BigInt(span.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(root?.endTimeUnixNano ?? 0));
  }

  const warm = spansOf(legacyTrace);
  expect(warm.map(({ name }) => name).sort()).toEqual(["hearth.call", "hearth.task"]);
  const warmRoot = warm.find(({ name }) => name === "hearth.call");
  expect(legacySeen.traceparent).toBe(`00-${legacyTrace}-${warmRoot?.spanId}-01`);
  expect([...collector.paths]).toEqual(["/v1/traces"]);
});

test("T: a trace that the caller does not sample is passed on and not sent", async () => {
  await using collector = await openCollector();
  await using daemon = await startDaemon({
    env: { ...tasks.env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
  });
  const answer = await fetch(`${daemon.baseUrl}/v1/calls?image=a`, {
    method: "POST",
    headers: { traceparent: `00-${TRACE}-${CALLER}-00`, tracestate: "vendor=1" },
    body: "headers",
  });
  const seen = (await answer.json()) as { readonly traceparent: string; readonly tracestate: string };
  expect(seen.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  expect(seen.tracestate).toBe("vendor=1");
  await daemon.end("SIGTERM");
  expect(collector.spans).toEqual([]);
});

test("T: a collector that is away costs no call and no time at the end", async () => {
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  await using daemon = await startDaemon({ env: { ...tasks.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } });
  for (let i = 0; i < 20; i += 1) {
    const answer = await fetch(`${daemon.baseUrl}/v1/calls?image=a`, { method: "POST", body: `${i}` });
    expect(await answer.text()).toBe(`${i}`);
  }
  expect(await daemon.end("SIGTERM")).toBe(0);
});

test("without a collector a caller's own trace reaches its task as it came", async () => {
  await using daemon = await startDaemon({ env: tasks.env });
  const answer = await fetch(`${daemon.baseUrl}/v1/calls?image=a`, {
    method: "POST",
    headers: headers(TRACE),
    body: "headers",
  });
  expect(await answer.json()).toMatchObject(headers(TRACE));
});

test("T: a collector that is away is one line of the log and a count, and one more line when it is back", async () => {
  const port = await freePort();
  await using daemon = await startDaemon({
    env: {
      ...tasks.env,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_BSP_SCHEDULE_DELAY: "50",
    },
  });
  const failed = async (): Promise<number> =>
    (await scrape(daemon.monitorUrl)).value("hearth_trace_exports_total", { result: "failed" });
  const lines = (event: string): number => daemon.log().split(event).length - 1;
  const call = (): Promise<Response> =>
    fetch(`${daemon.baseUrl}/v1/calls?image=a`, { method: "POST", body: "x" });
  await poll(
    "two exports have failed",
    async () => {
      expect((await call()).status).toBe(200);
      return (await failed()) >= 2 || daemon.log().slice(-500);
    },
    60_000,
  );
  expect(lines('"traces.failed"')).toBe(1);
  await using _collector = await openCollector(port);
  await poll(
    "they are sent again",
    async () => {
      await call();
      return lines('"traces.regained"') === 1 || daemon.log().slice(-500);
    },
    60_000,
  );
  expect(lines('"traces.failed"')).toBe(1);
}, 180_000);

test.each(["localhost:4318", "ftp://127.0.0.1", "http://"])(
  "T: a collector's address that is none is said in the log, and nothing is sent anywhere (%s)",
  async (url) => {
    await using daemon = await startDaemon({ env: { ...tasks.env, OTEL_EXPORTER_OTLP_ENDPOINT: url } });
    expect(daemon.log()).toContain('"traces.failed"');
    expect(daemon.log()).toContain("OTEL_EXPORTER_OTLP_ENDPOINT");
    const answer = await fetch(`${daemon.baseUrl}/v1/calls?image=a`, { method: "POST", body: "x" });
    expect(answer.status).toBe(200);
  },
);
