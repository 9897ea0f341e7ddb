/** What `task new` writes. The same folder is a task of the process driver and the context of its image. */
export const TEMPLATE_NAMES = ["node", "python", "sh"] as const;

type TemplateName = (typeof TEMPLATE_NAMES)[number];

interface Template {
  readonly command: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

/** The files of a new task folder by name. The template is one of {@link TEMPLATE_NAMES}. */
export function templateFiles(template: string, name: string): Readonly<Record<string, string>> {
  const { command, files } = TEMPLATES[template as TemplateName];
  const task = { id: name, command, resources: { cpu: 1, mem: 128 } };
  return { "task.json": `${JSON.stringify(task, null, 2)}\n`, ...files };
}

const NODE_MAIN = `// A task: answers POST / on $PORT (8080 in its image), and prints meca-init-done once it is ready.
import { createServer } from "node:http";

const server = createServer(async (request, response) => {
  if (request.method !== "POST" || request.url !== "/") {
    response.writeHead(404).end();
    return;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const input = Buffer.concat(chunks).toString();
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  response.end(\`hello \${input}\\n\`);
});

server.listen(Number(process.env.PORT ?? 8080), () => console.log("meca-init-done"));
process.once("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});
`;

const PYTHON_MAIN = `# A task: answers POST / on $PORT (8080 in its image), and prints meca-init-done once it is ready.
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Task(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        answer = f"hello {text}\\n".encode() if self.path == "/" else b""
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Task)
print("meca-init-done", flush=True)
server.serve_forever()
`;

const SH_MAIN = `#!/bin/sh
# A task: answers POST / on $PORT (8080 in its image), and prints meca-init-done once it is ready.
# Needs busybox, whose nc runs a program for each connection.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
echo meca-init-done
exec busybox nc -ll -p "\${PORT:-8080}" -e "$here/answer.sh"
`;

const SH_ANSWER = `#!/bin/sh
# One request on standard input, its answer on standard output.
length=0
read -r method path _
while read -r header; do
  header=$(printf %s "$header" | tr -d '\\r')
  [ -n "$header" ] || break
  case $header in
    [Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh]:*) length=$(printf %s "\${header#*:}" | tr -d ' ') ;;
  esac
done
input=$(head -c "$length")
status="200 OK"
[ "$method $path" = "POST /" ] || status="404 Not Found"
answer="hello $input
"
printf 'HTTP/1.1 %s\\r\\nContent-Type: text/plain; charset=utf-8\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n\\r\\n%s' \\
  "$status" "$(printf %s "$answer" | wc -c)" "$answer"
`;

const TEMPLATES: Readonly<Record<TemplateName, Template>> = {
  node: {
    command: ["node", "main.mjs"],
    files: {
      "main.mjs": NODE_MAIN,
      Dockerfile: dockerfile("node:22-slim", ["main.mjs"], ["node", "main.mjs"]),
    },
  },
  python: {
    command: ["python3", "main.py"],
    files: {
      "main.py": PYTHON_MAIN,
      Dockerfile: dockerfile("python:3-slim", ["main.py"], ["python3", "main.py"]),
    },
  },
  sh: {
    command: ["sh", "main.sh"],
    files: {
      "main.sh": SH_MAIN,
      "answer.sh": SH_ANSWER,
      Dockerfile: dockerfile("busybox:stable", ["main.sh", "answer.sh"], ["sh", "main.sh"]),
    },
  },
};

function dockerfile(base: string, files: readonly string[], command: readonly string[]): string {
  return [
    `ARG BASE=${base}`,
    `FROM \${BASE}`,
    "WORKDIR /task",
    `COPY ${files.join(" ")} ./`,
    "EXPOSE 8080",
    `CMD ${JSON.stringify(command)}`,
    "",
  ].join("\n");
}
