import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Access } from "../../../contract/v1/events.ts";
import type { Scope } from "../../../contract/v1/route.ts";
import { SCOPES } from "../../../contract/v1/route.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { HttpDoorOptions } from "../door-options.ts";
import type { RequestContext } from "../request-context.ts";
import { BearerCheck } from "./bearer.ts";
import { isKnownHost } from "./host-header.ts";
import { isFromHere } from "./local-peer.ts";
import { checkOrigin } from "./origin.ts";

const LOOK_ONLY =
  "No token is set up, so only a browser on this host itself may act; set http.token_file to act from elsewhere.";
const NO_TOKEN = "This daemon wants a token.";
const UNKNOWN_TOKEN = "The daemon does not know this token.";

export type GuardOptions = Pick<HttpDoorOptions, "hostNames" | "allowedOrigins" | "tokens" | "isTaskAddress">;

/** What of a request is looked at. */
export type GuardedRequest = Pick<RequestContext, "request" | "response" | "tokenName">;

/** Decides whether a request may come in at all: by where it comes from, by its head, and by its token. */
export class Guard {
  readonly #options: GuardOptions;
  readonly #hostNames: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #bearer: BearerCheck;
  readonly #plainPeers = new WeakMap<Socket, boolean>();
  readonly #lookers = new WeakSet<IncomingMessage>();

  constructor(options: GuardOptions) {
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

  /**
   * Takes note of a request that came over the monitor port. Many may look there; who may act is more than that: whoever
   * has a token for it or, where no tokens are set up, whoever is on this host.
   */
  cameOverMonitor(request: IncomingMessage): void {
    if (!this.wantsToken && !isFromHere(request)) this.#lookers.add(request);
  }

  accessOf({ request }: RequestContext): Access {
    if (this.#lookers.has(request)) {
      return { wantsToken: false, scopes: ["read"], reason: LOOK_ONLY };
    }
    if (!this.wantsToken) return { wantsToken: false, scopes: [...SCOPES] };
    const scopes = this.#bearer.scopesOf(request.headers.authorization);
    if (scopes === undefined) {
      const isSent = request.headers.authorization !== undefined;
      return { wantsToken: true, scopes: [], reason: isSent ? UNKNOWN_TOKEN : NO_TOKEN };
    }
    const lacks = SCOPES.filter((scope) => !scopes.includes(scope));
    const reason = lacks.length === 0 ? {} : { reason: `The token does not allow: ${lacks.join(", ")}.` };
    return { wantsToken: true, scopes: [...scopes], ...reason };
  }

  /**
   * @param options `isPage`: what is asked for is a page to look at, which links on other pages may lead to.
   * @throws {@link ExecutorError} with the first reason to turn the request away.
   */
  check(context: GuardedRequest, scopes: readonly Scope[], options = { isPage: false }): void {
    const { request, response } = context;
    if (!this.isPlainPeer(request.socket)) throw new ExecutorError("SOURCE_FORBIDDEN");
    this.#checkHost(context);
    const isPage = options.isPage && (request.method === "GET" || request.method === "HEAD");
    const origin = checkOrigin(request.headers, this.#origins, { isPage });
    if (origin !== undefined) allowOrigin(response, origin);
    // A browser asks without its token whether it may send it.
    if (request.method === "OPTIONS") return;
    if (this.#lookers.has(request) && scopes.length > 0 && !scopes.includes("read")) {
      throw new ExecutorError("CONTROL_FORBIDDEN");
    }
    context.tokenName = this.#bearer.check(request.headers.authorization, scopes);
    const encoding = request.headers["content-encoding"];
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
      throw new ExecutorError("ENCODING_UNSUPPORTED", { encoding: encoding.slice(0, 64) });
    }
  }

  #checkHost({ request }: GuardedRequest): void {
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
