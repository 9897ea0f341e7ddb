import { type CallRequest, type Endpoint, ExecutorError } from "../../core/index.ts";

const TARGET = /^\/[\x21-\x7e]*$/;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Writes request heads for one server, and remembers the last one: most calls differ in their length only. */
export class RequestHeads {
  readonly #host: string;
  #path = "";
  #contentType = "";
  #last = "";

  constructor(endpoint: Endpoint) {
    const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
    this.#host = `${host}:${endpoint.port}`;
  }

  /**
   * The whole head as latin1, its empty line included.
   *
   * @param length of the body in bytes; `undefined` for a chunked one.
   * @throws {@link ExecutorError} INPUT_INVALID when a part would break out of its line.
   */
  write(request: CallRequest, length: number | undefined): string {
    const { method, path, contentType, headers } = request;
    if (method === "POST" && length !== undefined && headers.length === 0) {
      if (path !== this.#path || contentType !== this.#contentType) this.#remember(path, contentType);
      return `${this.#last}${length}\r\n\r\n`;
    }
    const lines = [...this.#lines(method, path, contentType)];
    for (const [name, value] of headers) lines.push(header(name, value));
    if (length === undefined) lines.push("Transfer-Encoding: chunked");
    else if (length > 0 || method === "POST") lines.push(`Content-Length: ${length}`);
    return `${lines.join("\r\n")}\r\n\r\n`;
  }

  #remember(path: string, contentType: string): void {
    this.#last = `${this.#lines("POST", path, contentType).join("\r\n")}\r\nContent-Length: `;
    this.#path = path;
    this.#contentType = contentType;
  }

  #lines(method: string, path: string, contentType: string): readonly string[] {
    if (!TARGET.test(path)) throw new ExecutorError("INPUT_INVALID", { reason: "the path cannot be sent" });
    const lines = [`${method} ${path} HTTP/1.1`, `Host: ${this.#host}`];
    if (contentType !== "") lines.push(header("Content-Type", contentType));
    return lines;
  }
}

function header(name: string, value: string): string {
  if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
    throw new ExecutorError("INPUT_INVALID", { reason: "a header cannot be sent" });
  }
  return `${name}: ${value}`;
}
