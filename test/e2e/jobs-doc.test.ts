import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { walkPage } from "../support/walk-page.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("docs/jobs.md: every command runs as it is written, from an empty folder to a stopped daemon", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hearth-doc-"));
  try {
    symlinkSync(join(root, "examples"), join(folder, "examples"));
    const env = { HEARTH_PROCESS_NETWORK: "host" };
    const { stdout } = await walkPage({ page: "docs/jobs.md", folder, place: "/tmp/hearth-jobs", env });
    expect(stdout).toContain("[5.5]");
    expect(stdout).toContain("product.npy");
    expect(stdout).toContain('"method_name":"test.sleep"');
    expect(stdout).toMatch(/"status":"(killed|pending-kill)"/);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}, 300_000);
