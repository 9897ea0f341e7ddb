import { request } from "node:http";
import type { Sandbox, SandboxDriver } from "../../../src/core/index.ts";

/** What a test program does. Every server answers `POST /` with the request's body unless its line says otherwise. */
export interface BehaviourImages {
  /** Prints `hello from echo` and then the mark, once it listens. */
  readonly echo: string;
  /** Does nothing for about a second, then listens and prints the mark. */
  readonly slowStart: string;
  /** Prints the mark at once and listens about half a second later. */
  readonly latePort: string;
  /** Prints `no port here` and the mark, and never listens. */
  readonly noPort: string;
  /** Prints `cannot begin` to stderr and exits with code 42 before it listens. */
  readonly exitsAtStart: string;
  /** Serves; `POST /` ends it with exit code 7 and without an answer. */
  readonly crashes: string;
  /** Serves and takes no notice of SIGTERM. */
  readonly ignoresTerm: string;
  /** Prints the mark in two writes, a moment apart, once it listens. */
  readonly markSplit: string;
  /** Prints the mark to stderr, once it listens. */
  readonly markOnStderr: string;
  /** Listens and prints nothing at all. */
  readonly noMark: string;
  /** Prints several MiB of text and `flood ends` on a line of its own, then the mark, then serves. */
  readonly floods: string;
  /** Serves; `POST /` makes it take memory until it is killed. */
  readonly eatsMemory: string;
  /** Serves; prints the line `said <body>` for each `POST /` before it answers. */
  readonly talks: string;
  /** Its program cannot be executed: there is no such file. */
  readonly unusable: string;
  /** Like echo; its content is what {@link SandboxDriverHarness.changeContent} changes. */
  readonly changing: string;
}

/** What the suite needs to know to run jobs. */
export interface JobHarness {
  /** Has a shell and the usual small programs, and no entrypoint. */
  readonly image: string;
  /** The folder that holds work folders, under both its names. */
  readonly shared: { readonly localPath: string; readonly hostPath: string };
  /** Whether a job sees its folder where it was told to, and not where the host has it. */
  readonly hasOwnView: boolean;
  readonly enforcesPids: boolean;
  readonly enforcesCpu: boolean;
}

/** One opened driver with what the suite needs to know about its world. The suite disposes it. */
export interface SandboxDriverHarness extends AsyncDisposable {
  readonly driver: SandboxDriver;
  /** A behaviour that is left out is skipped aloud. */
  readonly images: Partial<BehaviourImages>;
  readonly jobs: JobHarness;
  /** Well-formed, and there is no such image. */
  readonly unknownImage: string;
  /** Whether a sandbox that takes too much memory is killed. */
  readonly enforcesMemory: boolean;
  readonly hasGpus: boolean;
  readonly hasSgx: boolean;
  /** What exists outside of the driver for this owner: containers, processes, cgroups, by any printable name. Empty when all is clean. */
  remains(): Promise<readonly string[]>;
  /** Changes the content behind `images.changing`. */
  changeContent?(): Promise<void>;
  /** Ends a sandbox's code from outside, as an operator would with `kill -9` or the engine's own tool. */
  killFromOutside?(sandbox: Sandbox): Promise<void>;
  /** Disposes `driver`, does something in between, and opens the next life of the same owner, which the suite disposes. */
  reopen?(meanwhile?: () => Promise<void>): Promise<SandboxDriver>;
  /** Opens a driver of another owner beside this one, which the suite disposes. */
  openStranger?(): Promise<SandboxDriver>;
  /** One `POST` to the sandbox; {@link postOverHttp} unless the driver has no real network. */
  post?(sandbox: Sandbox, body: string): Promise<Answer>;
  /** Waits for something that the driver does; a driver in virtual time moves its clock meanwhile. */
  wait?<T>(something: Promise<T>): Promise<T>;
  /** Lets time go by for the driver and its sandboxes. */
  elapse?(ms: number): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One `POST /` over a connection of its own; rejects when the connection fails or ends before the answer. */
export function postOverHttp(sandbox: Sandbox, body: string): Promise<Answer> {
  const { host, port } = sandbox.endpoint;
  return new Promise((resolve, reject) => {
    const call = request(
      { host, port, method: "POST", path: "/", agent: false, timeout: 60_000 },
      (reply) => {
        const chunks: Buffer[] = [];
        reply.on("data", (chunk: Buffer) => chunks.push(chunk));
        reply.on("error", reject);
        reply.on("end", () => {
          resolve({ status: reply.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
        });
      },
    );
    call.on("error", reject);
    call.on("timeout", () => call.destroy(new Error("no answer within 60 s")));
    call.end(body);
  });
}
