import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Io } from "../../src/cli/io.ts";
import type { Parts, SettingsInput } from "../../src/cli/parts.ts";
import { runCli } from "../../src/cli/run.ts";
import { toProblem } from "../../src/contract/problem.ts";
import type { ErrorCode } from "../../src/core/index.ts";
import { ExecutorError } from "../../src/core/index.ts";

export type Route = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly served: SettingsInput | undefined;
}

/** The command line in a folder of its own, and daemons that say what a test wants. */
export class CliWorld {
  readonly folder = mkdtempSync(join(tmpdir(), "hearth-cli-"));
  #daemon: Server | undefined;

  /** A daemon that knows these routes by method and path. @returns where it listens. */
  async startDaemon(routes: Readonly<Record<string, Route>>): Promise<string> {
    const daemon = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const route = routes[`${request.method} ${request.url?.split("?")[0]}`];
        if (route === undefined) problem("ROUTE_NOT_FOUND")(request, response, Buffer.concat(chunks));
        else route(request, response, Buffer.concat(chunks));
      });
    });
    this.#daemon = daemon;
    await new Promise<void>((resolve) => daemon.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(daemon.address() as AddressInfo).port}`;
  }

  async stopDaemon(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    daemon?.closeAllConnections();
    await new Promise((resolve) => (daemon === undefined ? resolve(0) : daemon.close(resolve)));
  }

  async run(
    argv: readonly string[],
    more: { readonly env?: Record<string, string>; readonly stdin?: string; readonly isTty?: boolean } = {},
  ): Promise<Ran> {
    const out: Buffer[] = [];
    let err = "";
    let served: SettingsInput | undefined;
    const io: Io = {
      out: async (text) => void out.push(Buffer.from(text)),
      err: (text) => {
        err += text.endsWith("\n") ? text : `${text}\n`;
      },
      status: () => undefined,
      isOutTty: more.isTty === true,
      isErrTty: more.isTty === true,
      stdin: Readable.from([Buffer.from(more.stdin ?? "")]),
      style: (_, text) => text,
      endWithReader: () => undefined,
      terminal: () => undefined,
    };
    const onServe = (input: SettingsInput): void => {
      served = input;
    };
    const parts = partsFor(onServe);
    const code = await runCli({ argv: [...argv], io, env: more.env ?? {}, cwd: this.folder, parts });
    return { code, out: Buffer.concat(out).toString("utf8"), err, served };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.folder, { recursive: true });
    await this.stopDaemon();
  }
}

export const json =
  (value: unknown): Route =>
  (_, response) =>
    void response.setHeader("content-type", "application/json").end(JSON.stringify(value));

export const problem =
  (code: ErrorCode, facts: Record<string, string | readonly string[]> = {}): Route =>
  (_, response) => {
    const body = toProblem(new ExecutorError(code, facts), "r1");
    response.writeHead(body.status, { "content-type": "application/problem+json" }).end(JSON.stringify(body));
  };

export const answer =
  (status: number, text: string | Buffer): Route =>
  (_, response) =>
    void response
      .writeHead(status, { "hearth-outcome": "x", "hearth-start": "warm", "content-type": "text/plain" })
      .end(text);

/** What a command line is made of besides: settings and findings of nobody. */
function partsFor(onServe: (input: SettingsInput) => void): Parts {
  return {
    version: "1.2.3",
    serve: async (input) => {
      onServe(input);
      return 0;
    },
    api: async () => 0,
    settings: async () => ({
      flags: [
        {
          key: "http.port",
          flag: "--http-port",
          about: "a port",
          isSwitch: false,
          value: "number",
          section: "http",
        },
        {
          key: "has_gpu",
          flag: "--has-gpu",
          about: "gpus",
          isSwitch: true,
          value: "text",
          section: "top level",
        },
      ],
      candidates: ["/etc/hearth/config.yaml"],
      read: ({ configFile }) =>
        configFile === "bad.yaml"
          ? { faults: ["bad.yaml:1:1: cpu: expected a number"] }
          : {
              file: configFile,
              warnings: [],
              entries: [
                { key: "cpu", value: 4, origin: "default", unit: "cores", description: "x", isLive: true },
              ],
            },
    }),
    diagnose: async () => [
      { area: "isolate", state: "ok", text: "plain processes" },
      { area: "isolate", state: "missing", text: "no engine answers", advice: "start Docker" },
    ],
    openapi: async () => ({ openapi: "3.1.0" }),
  };
}
