import { isDeepStrictEqual } from "node:util";
import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ClientOptions, ServiceError } from "@grpc/grpc-js";
import { Client, connectivityState, credentials, Metadata, status } from "@grpc/grpc-js";
import { Answers } from "./answers.ts";
import { RpcError } from "./rpc-error.ts";

export interface ChannelTls {
  /** PEM; `undefined` trusts what the system trusts. */
  readonly ca: Buffer | undefined;
  /** Both or neither: who we are, PEM. */
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  /** The name that the peer's certificate must carry, if it is not the address's. */
  readonly serverName: string | undefined;
}

export interface ChannelOptions {
  /** `host:port`, an IPv6 host in brackets. */
  readonly address: string;
  /** `undefined` is plaintext. */
  readonly tls: ChannelTls | undefined;
  /** What `tls` is now; asked before a connection is made anew. What it throws leaves what was. */
  readonly renewTls?: () => Promise<ChannelTls>;
  /** The largest message in bytes; -1 is without limit. */
  readonly maxSendBytes: number;
  readonly maxReceiveBytes: number;
  /** A ping after so much silence, and how long its answer may take; `undefined` sends none. */
  readonly keepalive: { readonly idleMs: number; readonly timeoutMs: number } | undefined;
  /** Bounds of the pause between two tries to connect; jitter is the library's. */
  readonly reconnect: { readonly firstMs: number; readonly maxMs: number };
}

export interface CallLimits {
  /** `undefined` waits as long as the signal allows. */
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal;
}

/** A lazy connection to one peer: it is made at the first call and made again when it breaks. */
export interface Channel extends Disposable {
  /**
   * One request, one answer.
   *
   * @throws {@link RpcError}; the signal's reason once it aborts.
   */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    limits: CallLimits,
  ): Promise<MessageShape<O>>;
  /**
   * One request, answers until the peer ends the stream or the reader stops.
   *
   * @throws {@link RpcError} at the step that meets it; the signal's reason once it aborts.
   */
  watch<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    signal: AbortSignal,
  ): AsyncIterable<MessageShape<O>>;
  /** Resolves once connected. @throws {@link RpcError} `deadlineExceeded`; the signal's reason. */
  ready(limits: CallLimits & { readonly deadlineMs: number }): Promise<void>;
}

/** Opens a channel. Nothing is sent before the first call; disposing it fails what is under way. */
export function openChannel(options: ChannelOptions): Channel {
  return new GrpcChannel(options);
}

class GrpcChannel implements Channel {
  readonly #options: ChannelOptions;
  #tls: ChannelTls | undefined;
  #client: Client;
  #renewing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#tls = options.tls;
    this.#client = openClient(options, options.tls);
  }

  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    limits: CallLimits,
  ): Promise<MessageShape<O>> {
    if (this.#options.renewTls !== undefined) await this.#renew(this.#options.renewTls);
    return await this.#ask(method, request, limits);
  }

  #ask<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    { deadlineMs, signal }: CallLimits,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const call = this.#client.makeUnaryRequest(
        pathOf(method),
        serializerOf(method.input),
        deserializerOf(method.output),
        create(method.input, request),
        new Metadata(),
        deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
        (error, answer) => {
          signal.removeEventListener("abort", onAbort);
          if (error === null && answer !== undefined) resolve(answer);
          else reject(signal.aborted ? signal.reason : failureOf(error));
        },
      );
      const onAbort = (): void => call.cancel();
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  async *watch<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    signal: AbortSignal,
  ): AsyncIterable<MessageShape<O>> {
    signal.throwIfAborted();
    const stream = this.#client.makeServerStreamRequest(
      pathOf(method),
      serializerOf(method.input),
      deserializerOf(method.output),
      create(method.input, request),
      new Metadata(),
      {},
    );
    const answers = new Answers(stream);
    const onAbort = (): void => stream.cancel();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (let answer = await answers.next(); answer !== undefined; answer = await answers.next())
        yield answer;
    } catch (error) {
      throw signal.aborted ? signal.reason : failureOf(error);
    } finally {
      signal.removeEventListener("abort", onAbort);
      answers.stop();
    }
  }

  ready({ deadlineMs, signal }: CallLimits & { readonly deadlineMs: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener("abort", onAbort, { once: true });
      this.#client.waitForReady(Date.now() + deadlineMs, (error) => {
        signal.removeEventListener("abort", onAbort);
        if (error === undefined) resolve();
        else reject(new RpcError(status.DEADLINE_EXCEEDED, "no connection in time", { cause: error }));
      });
    });
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#client.close();
  }

  /** A library's client keeps the secrets that it began with: other secrets are another client. */
  async #renew(read: () => Promise<ChannelTls>): Promise<void> {
    if (this.#client.getChannel().getConnectivityState(false) === connectivityState.READY) return;
    this.#renewing ??= read()
      .then((tls) => {
        if (this.#isClosed || isDeepStrictEqual(tls, this.#tls)) return;
        const fresh = openClient(this.#options, tls);
        this.#client.close();
        this.#client = fresh;
        this.#tls = tls;
      })
      // Files that are just being replaced, perhaps; a connection that cannot be made without them says why itself.
      .catch(() => undefined)
      .finally(() => {
        this.#renewing = undefined;
      });
    await this.#renewing;
  }
}

function openClient(options: ChannelOptions, tls: ChannelTls | undefined): Client {
  const secrets =
    tls === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
  return new Client(options.address, secrets, clientOptions(options));
}

function clientOptions(options: ChannelOptions): ClientOptions {
  const { tls, maxSendBytes, maxReceiveBytes, keepalive, reconnect } = options;
  return {
    "grpc.max_send_message_length": maxSendBytes,
    "grpc.max_receive_message_length": maxReceiveBytes,
    "grpc.initial_reconnect_backoff_ms": reconnect.firstMs,
    "grpc.min_reconnect_backoff_ms": reconnect.firstMs,
    "grpc.max_reconnect_backoff_ms": reconnect.maxMs,
    // A proxy of the environment is for the web, not for workers on loopback and the one configured server.
    "grpc.enable_http_proxy": 0,
    // Nobody asks DNS for how to call, nor keeps figures that no program of ours reads.
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_channelz": 0,
    // Two channels to one address must not share a connection that one of them closes.
    "grpc.use_local_subchannel_pool": 1,
    ...(keepalive === undefined
      ? {}
      : {
          "grpc.keepalive_time_ms": keepalive.idleMs,
          "grpc.keepalive_timeout_ms": keepalive.timeoutMs,
          "grpc.keepalive_permit_without_calls": 1,
        }),
    ...(tls?.serverName === undefined
      ? {}
      : { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName }),
  };
}

function pathOf(method: { readonly parent: { readonly typeName: string }; readonly name: string }): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function serializerOf<T extends DescMessage>(schema: T): (message: MessageShape<T>) => Buffer {
  return (message) => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function deserializerOf<T extends DescMessage>(schema: T): (bytes: Buffer) => MessageShape<T> {
  return (bytes) => fromBinary(schema, bytes);
}

function failureOf(thrown: unknown): RpcError {
  const { code, details } = (thrown ?? {}) as Partial<ServiceError>;
  return new RpcError(code ?? status.UNKNOWN, wordsOf(details ?? "no answer"), { cause: thrown });
}

/** The library's word for a connection that its peer ended before it could be used. */
const CLOSED_EARLY = "Failed to connect";

/** What went wrong, without what the library adds for its own developers. */
function wordsOf(details: string): string {
  const [, last] =
    /^No connection established\. Last error: (?:Error: )?(.*?)(?: \([^()]*Z\))?\. Resolution note: $/s.exec(
      details,
    ) ?? [];
  if (last === undefined) return details;
  const said =
    last === CLOSED_EARLY
      ? "the peer ended it at once; with TLS, it may want another certificate of ours"
      : last;
  return `no connection: ${said}`;
}
