import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { gzipSync } from "node:zlib";
import type { TarFile } from "../../src/drivers/docker/network/tar.ts";
import { tar } from "../../src/drivers/docker/network/tar.ts";
import { taskFiles } from "./images.ts";

/** How a repository misbehaves; each is the name of a repository. */
export type RegistryFault =
  /** Whole and sound. */
  | "good"
  /** Asks for credentials that nobody has. */
  | "denied"
  /** Says that there were too many requests. */
  | "limited"
  /** Fails by its own fault. */
  | "broken"
  /** Takes the question and never answers. */
  | "hangs"
  /** Ends the connection in the middle of a layer, each time. */
  | "dies"
  /** Sends a layer that is not the one it promised. */
  | "wrong"
  /** Sound, but for machines of another kind. */
  | "foreign";

/** A registry on a loopback port whose repositories misbehave as they are named. Any tag exists. */
export interface FaultRegistry extends AsyncDisposable {
  readonly host: string;
  /** How often a repository's manifests were asked for. */
  asked(repository: string): number;
}

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

interface Blob {
  readonly digest: string;
  readonly bytes: Buffer;
}

interface Image {
  readonly layer: Blob;
  readonly config: Blob;
  readonly manifest: Buffer;
}

/** @param main the program of the one image that all repositories hold. */
export async function openFaultRegistry(main: string): Promise<FaultRegistry> {
  const sound = imageOf(await taskFiles({ main, reply: 'eval "$body"' }), "amd64", ["/bin/sh", "/main"]);
  const foreign = imageOf([{ path: "foreign", content: foreignProgram(), mode: 0o755 }], "arm64", [
    "/foreign",
  ]);
  // Of its own content, or an engine that has the sound one would not fetch it.
  const broken = imageOf(await taskFiles({ main: `# broken\n${main}` }), "amd64", ["/bin/sh", "/main"]);
  const asked = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const [, repository = "", kind = "", name = ""] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? "") ?? [];
    if (kind === "") return send(response, 200, "{}");
    const image = repository === "foreign" ? foreign : repository === "good" ? sound : broken;
    if (kind === "manifests") {
      asked.set(repository, (asked.get(repository) ?? 0) + 1);
      return sendManifest(repository, request, response, image.manifest);
    }
    const { layer, config } = image;
    const wanted = name === config.digest ? config : layer;
    if (repository === "dies" && wanted === layer) {
      response.writeHead(200, { "content-length": layer.bytes.length });
      response.write(layer.bytes.subarray(0, layer.bytes.length / 2), () => response.destroy());
      return;
    }
    const isWrong = repository === "wrong" && wanted === layer;
    send(
      response,
      200,
      isWrong ? Buffer.alloc(layer.bytes.length, 1) : wanted.bytes,
      "application/octet-stream",
    );
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined); // the engine has hung up; `close` follows
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${address.port}`,
    asked: (repository) => asked.get(repository) ?? 0,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function imageOf(files: readonly TarFile[], architecture: string, command: readonly string[]): Image {
  const layerTar = tar(files);
  const layer = blob(gzipSync(layerTar, { level: 1 }));
  const config = blob(
    Buffer.from(
      JSON.stringify({
        architecture,
        os: "linux",
        config: { Cmd: command },
        rootfs: { type: "layers", diff_ids: [digestOf(layerTar)] },
        history: [{ created: "2020-01-01T00:00:00Z", created_by: "a test" }],
      }),
    ),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: "application/vnd.docker.container.image.v1+json", ...facts(config) },
      layers: [{ mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", ...facts(layer) }],
    }),
  );
  return { layer, config, manifest };
}

/** The head of a program for another processor; no kernel without its emulator runs it. */
function foreignProgram(): Buffer {
  const head = Buffer.alloc(64);
  head.write("\x7fELF\x02\x01\x01", "latin1");
  head.writeUInt16LE(2, 16); // executable
  head.writeUInt16LE(183, 18); // AArch64
  head.writeUInt32LE(1, 20);
  return head;
}

function sendManifest(
  repository: string,
  { method }: IncomingMessage,
  response: ServerResponse,
  manifest: Buffer,
): void {
  switch (repository) {
    case "hangs":
      return;
    case "denied":
      response.setHeader("www-authenticate", 'Basic realm="a test"');
      return send(response, 401, problem("UNAUTHORIZED", "authentication required"));
    case "limited":
      return send(response, 429, problem("TOOMANYREQUESTS", "too many requests, come back later"));
    case "broken":
      return send(response, 500, problem("UNKNOWN", "the registry is broken"));
    case "good":
    case "dies":
    case "wrong":
    case "foreign":
      response.setHeader("docker-content-digest", digestOf(manifest));
      response.setHeader("content-length", manifest.length);
      return send(response, 200, method === "HEAD" ? "" : manifest, MANIFEST_TYPE);
    default:
      return send(response, 404, problem("MANIFEST_UNKNOWN", "manifest unknown"));
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  type = "application/json",
): void {
  response.writeHead(status, { "content-type": type, "docker-distribution-api-version": "registry/2.0" });
  response.end(body);
}

function problem(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message }] });
}

function blob(bytes: Buffer): Blob {
  return { digest: digestOf(bytes), bytes };
}

function facts({ digest, bytes }: Blob): { readonly digest: string; readonly size: number } {
  return { digest, size: bytes.length };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
