import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { Secret } from "../../src/core/index.ts";
import { claimOne, completed, STREAM_A, signal } from "../conformance/job-source/world.ts";
import { poll } from "../support/poll.ts";
import { freePort, openPrivateRedis } from "../support/private-redis.ts";
import { PATIENT, pendingIn, redisHost } from "../support/redis-world.ts";

test("D21: over TLS a host believes the authority that it is told, and shows its own certificate", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hearth-tls-"));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  try {
    const words =
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=queue.test";
    const files = ["-addext", "subjectAltName=DNS:queue.test", "-keyout", keyFile, "-out", certFile];
    await promisify(execFile)("openssl", [...words.split(" "), ...files]);
    const port = await freePort();
    const pairs = {
      port: String(port),
      "cert-file": certFile,
      "key-file": keyFile,
      "ca-cert-file": certFile,
    };
    const args = Object.entries(pairs).flatMap(([name, value]) => [`--tls-${name}`, value]);
    await using redis = await openPrivateRedis({ args });
    const [cert, key] = [await readFile(certFile, "utf8"), await readFile(keyFile, "utf8")];
    const single = { type: "single", address: { host: "127.0.0.1", port } } as const;
    const tls = { ca: cert, cert, key: new Secret(key), serverName: "queue.test" };
    await using host = redisHost("h1", { settings: { ...single, tls }, times: PATIENT });
    await redis.ask("XADD", STREAM_A, "*", "id", "j");
    expect(await host.commit(await claimOne(host), completed("j"))).toBe("committed");
    expect(await pendingIn(redis.ask, STREAM_A)).toBe(0);

    await using doubting = redisHost("h2", { settings: { ...single, tls: { serverName: "queue.test" } } });
    await poll("it is not believed", () => /certificate/.test(JSON.stringify(doubting.state)) || "no word");
    expect(await doubting.claim(1, 100, signal())).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
