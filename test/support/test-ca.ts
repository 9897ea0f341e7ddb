import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outputOf } from "./run-program.ts";

/** A certificate and its key, in files and as they are written there. */
export interface TestCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** What it is good for, `DNS:…` or `IP:…`. */
  readonly names: string;
  /** From now; below 0 it is over. Default: 2. */
  readonly days?: number;
}

/** An authority of the test's own, made by openssl; its files go with it. */
export interface TestCa extends AsyncDisposable {
  readonly certFile: string;
  readonly cert: string;
  issue(options: CertificateOptions): Promise<TestCertificate>;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export async function openTestCa(): Promise<TestCa> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-ca-"));
  const at = (name: string): string => join(folder, name);
  const [certFile, keyFile] = [at("ca.pem"), at("ca.key")];
  const own = ["-subj", "/CN=an authority of tests", "-keyout", keyFile, "-out", certFile];
  await outputOf("openssl", ["req", "-x509", ...NEW_KEY, "-days", "2", ...own]);
  let count = 0;
  return {
    certFile,
    cert: await readFile(certFile, "utf8"),
    async issue({ names, days = 2 }) {
      count += 1;
      const [request, key, cert] = [at(`${count}.csr`), at(`${count}.key`), at(`${count}.pem`)];
      const wish = ["-subj", `/CN=test ${count}`, "-addext", `subjectAltName=${names}`];
      await outputOf("openssl", ["req", "-new", ...NEW_KEY, ...wish, "-keyout", key, "-out", request]);
      const by = ["-CA", certFile, "-CAkey", keyFile, "-set_serial", String(count), "-days", String(days)];
      const files = ["-copy_extensions", "copy", "-in", request, "-out", cert];
      await outputOf("openssl", ["x509", "-req", ...by, ...files]);
      return {
        certFile: cert,
        keyFile: key,
        cert: await readFile(cert, "utf8"),
        key: await readFile(key, "utf8"),
      };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
