import type { Socket } from "node:net";
import type { Scope } from "../../../contract/v1/route.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { HttpDoorOptions } from "../door-options.ts";
import type { RequestContext } from "../request-context.ts";
import { BearerCheck } from "./bearer.ts";
import { isKnownHost } from "./host-header.ts";
import { checkOrigin } from "./origin.ts";

/** Decides whether a request may come in at all: by where it comes from, by its head, and by its token. */
export class Guard {
  readonly #options: HttpDoorOptions;
  readonly #hostNames: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #bearer: BearerCheck;
  readonly #plainPeers = new WeakMap<Socket, boolean>();

  constructor(options: HttpDoorOptions) {
    this.#options = options;
    this.#hostNames = new Set(options.hostNames.map((name) => name.toLowerCase()));
    this.#origins = new Set(options.allowedOrigins);
    this.#bearer = new BearerCheck(options.tokens);
  }

  /** Whether requests need a token. */
  get wantsToken(): boolean {
    return this.#bearer.isOn;
  }

  isKnownHost(header: string): boolean {
    return isKnownHost(header, this.#hostNames);
  }

  /** Whether a connection is not a task's. That is asked once for each connection: the answer may cost a look at the kernel's tables. */
  isPlainPeer(socket: Socket): boolean {
    const known = this.#plainPeers.get(socket);
    if (known !== undefined) return known;
    const isPlain = this.#askPeer(socket);
    this.#plainPeers.set(socket, isPlain);
    return isPlain;
  }

  #askPeer(socket: Socket): boolean {
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    // Without an address it is gone already, or a request of `inject`, which never was on a network.
    if (remoteAddress === undefined) return true;
    return !this.#options.isTaskAddress({
      remoteAddress: plainAddress(remoteAddress),
      remotePort: remotePort ?? 0,
      localAddress: plainAddress(localAddress ?? ""),
      localPort: localPort ?? 0,
    });
  }

  /** @throws {@link ExecutorError} with the first reason to turn the request away. */
  check(context: RequestContext, scopes: readonly Scope[]): void {
    const { request, response } = context;
    if (!this.isPlainPeer(request.socket)) throw new ExecutorError("SOURCE_FORBIDDEN");
    this.#checkHost(context);
    const origin = checkOrigin(request.headers, this.#origins);
    if (origin !== undefined) allowOrigin(response, origin);
    // A browser asks without its token whether it may send it.
    if (request.method === "OPTIONS") return;
    context.tokenName = this.#bearer.check(request.headers.authorization, scopes);
    const encoding = request.headers["content-encoding"];
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
      throw new ExecutorError("ENCODING_UNSUPPORTED", { encoding: encoding.slice(0, 64) });
    }
  }

  #checkHost({ request }: RequestContext): void {
    const { host } = request.headers;
    if (host === undefined) {
      if (request.httpVersion === "1.0") return;
      throw new ExecutorError("INPUT_INVALID", { field: "Host", reason: "the header is missing" });
    }
    const isTwice =
      request.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host").length > 1;
    if (isTwice)
      throw new ExecutorError("INPUT_INVALID", { field: "Host", reason: "the header is there twice" });
    if (!this.isKnownHost(host)) throw new ExecutorError("HOST_FORBIDDEN", { host: host.slice(0, 255) });
  }
}

/** An IPv4 peer of a socket that listens on IPv6 as well, by its own address. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}

function allowOrigin(response: RequestContext["response"], origin: string): void {
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-expose-headers", "*, Location, Retry-After");
  response.setHeader("vary", "Origin");
}
