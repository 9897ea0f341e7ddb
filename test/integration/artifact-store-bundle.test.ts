import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";

const OPENER = join(import.meta.dirname, "../../src/drivers/artifacts/index.ts");

/** What is loaded late looks different in a bundle: names of a CommonJS library that is imported there are not found. */
test("stores of clouds work in a bundle made as ours is, and Google's says when its library is not installed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hearth-bundle-"));
  try {
    await writeFile(join(folder, "main.ts"), MAIN.replace("OPENER", JSON.stringify(OPENER)));
    await build({
      entryPoints: { main: join(folder, "main.ts") },
      outdir: folder,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      splitting: true,
      external: ["@google-cloud/storage"],
      banner: { js: 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);' },
      logLevel: "error",
    });
    const ran = spawnSync(process.execPath, [join(folder, "main.mjs")], { encoding: "utf8" });
    expect(ran.stderr).toBe("");
    expect(JSON.parse(ran.stdout)).toEqual({
      s3: { asked: ["HEAD /bucket/users/7/output.zip"] },
      gs: expect.stringContaining("@google-cloud/storage, which is not installed"),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

const MAIN = `
import { createServer } from "node:http";
import { openArtifactStore } from OPENER;
const asked: string[] = [];
const server = createServer((request, response) => {
  asked.push(request.method + " " + new URL(request.url ?? "", "http://x").pathname);
  response.writeHead(404).end();
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as any;
process.env["AWS_ACCESS_KEY_ID"] = "key";
process.env["AWS_SECRET_ACCESS_KEY"] = "secret";
const options = { setting: "artifact_store", s3: { endpoint: "http://127.0.0.1:" + port } };
const store = await openArtifactStore("s3://bucket", options);
const found = await store.info("users/7/output.zip", new AbortController().signal);
const s3 = { found, asked };
const gs = await openArtifactStore("gs://bucket", options).catch((error: Error) => error.message);
server.close();
server.closeAllConnections();
process.stdout.write(JSON.stringify({ s3, gs }));
`;
