import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ConfigSchema } from "../../src/config/schema.ts";
import { openDriver } from "../../src/open-driver.ts";
import { silentLog } from "../../src/telemetry/silent-log.ts";

test("defect 4: Docker that was asked for and is not there stops the start, and is not replaced", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hearth-driver-"));
  try {
    const host = `unix://${join(folder, "none.sock")}`;
    const config = ConfigSchema.parse({ driver: "docker", state_dir: folder, docker: { host } });
    const identity = { ownerId: "test-nobody", instanceId: "one" };
    await expect(openDriver(config, identity, silentLog, new AbortController().signal)).rejects.toMatchObject(
      { code: "ENGINE_UNAVAILABLE" },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
