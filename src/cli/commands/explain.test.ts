import { expect, test } from "vitest";
import { CliWorld, json } from "../../../test/support/cli-world.ts";

/** All that says which task is meant, as `hearth call` takes it. */
const TASK = [
  ...["--cpu", "2", "--mem", "512", "--gpus", "1", "--gpu-memory", "64"],
  ...["--isolation", "gvisor", "--network", "none", "--sgx"],
];

test("explain asks of the task that call would run: what one of them says of a task, the other can say", async () => {
  await using world = new CliWorld();
  const asked: unknown[] = [];
  const at = await world.startDaemon({
    "POST /v1/explain": (request, response, body) => {
      asked.push(JSON.parse(body.toString()));
      json({ type: "warm", reason: "a slot is free", sandboxId: "s1" })(request, response, body);
    },
    "POST /v1/calls": (request, response) => {
      asked.push(Object.fromEntries(new URL(request.url ?? "", "http://daemon").searchParams));
      response.writeHead(200, { "hearth-outcome": "success" }).end();
    },
  });
  const explained = await world.run(["explain", "a", ...TASK, "-H", at]);
  expect(explained).toMatchObject({ code: 0, out: "runs at once: a slot is free\n" });
  expect(await world.run(["call", "a", ...TASK, "-H", at])).toMatchObject({ code: 0 });
  expect(asked[0]).toEqual({
    ...{ image: "a", cpu: 2, mem: 512, gpus: 1, gpuMemory: 64 },
    ...{ isolation: "gvisor", network: "none", sgx: true },
  });
  const said = Object.entries(asked[0] as object).map(([key, value]) => [key, String(value)]);
  expect(asked[1]).toEqual(Object.fromEntries(said));
  const wrong = await world.run(["explain", "a", "--network", "moon", "-H", at]);
  expect(wrong).toMatchObject({ code: 2, out: "", err: expect.stringContaining("egress") });
});
