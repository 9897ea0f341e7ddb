import { readFile } from "node:fs/promises";
import type Docker from "dockerode";
import type { TarFile } from "../../src/drivers/docker/network/tar.ts";
import { tar } from "../../src/drivers/docker/network/tar.ts";
import type { BehaviourImages } from "../conformance/sandbox-driver/harness.ts";

/** Reads one HTTP request and answers with what `$reply` prints; `$body` is the request's body. */
const HANDLER = `#!/bin/sh
length=0
asked=
while IFS= read -r line; do
  asked=yes
  line=\${line%$(printf '\\r')}
  [ -z "$line" ] && break
  case "$line" in [Cc]ontent-[Ll]ength:*) length=\${line#*: } ;; esac
done
[ -n "$asked" ] || exit 0
body=$(head -c "$length"; echo .)
body=\${body%.}
. /reply
printf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n\\r\\n' "\${#body}"
printf '%s' "$body"
`;

const MARK = "echo meca-init-done";
const SERVE = "exec nc -ll -p 8080 -e /handler";
/** Serves beside the script, which then goes on: waits until the port is open, prints, and ends when the server does. */
const SERVE_BESIDE = `nc -ll -p 8080 -e /handler & server=$!; echo $server > /tmp/server
until nc -w 1 127.0.0.1 8080 </dev/null >/dev/null 2>&1; do sleep 0.01; done`;

interface Program {
  readonly main: string;
  /** Run by the handler before it answers. */
  readonly reply?: string;
}

/** One small shell program for each behaviour of the suite. */
const PROGRAMS: Readonly<Record<keyof BehaviourImages, Program>> = {
  echo: { main: `echo hello from echo; ${SERVE_BESIDE}; ${MARK}; wait $server` },
  slowStart: { main: `sleep 1; ${SERVE_BESIDE}; ${MARK}; wait $server` },
  latePort: { main: `${MARK}; sleep 0.5; ${SERVE}` },
  noPort: { main: `echo no port here; ${MARK}; exec sleep 1000` },
  exitsAtStart: { main: "echo cannot begin >&2; exit 42" },
  crashes: { main: `${SERVE_BESIDE}; ${MARK}; wait $server; exit 7`, reply: "kill $(cat /tmp/server); exit" },
  ignoresTerm: { main: `trap '' TERM; ${SERVE_BESIDE}; ${MARK}; wait $server` },
  markSplit: { main: `${SERVE_BESIDE}; printf meca-in; sleep 0.3; echo it-done; wait $server` },
  markOnStderr: { main: `${SERVE_BESIDE}; ${MARK} >&2; wait $server` },
  noMark: { main: SERVE },
  floods: {
    main: `${SERVE_BESIDE}; yes 0123456789012345678901234567890123456789 | head -c 4000000; echo; echo flood ends; ${MARK}; wait $server`,
  },
  eatsMemory: {
    main: `${SERVE_BESIDE}; ${MARK}; wait $server; exit 137`,
    reply: "tail /dev/zero >/dev/null; kill $(cat /tmp/server); exit",
  },
  talks: { main: `${SERVE_BESIDE}; ${MARK}; wait $server`, reply: 'echo "said $body" >&2' },
  unusable: { main: "" },
  changing: { main: `echo version one; ${SERVE_BESIDE}; ${MARK}; wait $server` },
};

export const TASK_REPOSITORY = "hearth-test";

/** An image for jobs: a shell and small programs. */
export const JOB_IMAGE = `${TASK_REPOSITORY}/jobs:1`;

/** @param changes what the image says beside its files, as lines of a Dockerfile. */
export async function buildJobImage(
  docker: Docker,
  image: string = JOB_IMAGE,
  changes: readonly string[] = [],
): Promise<string> {
  await importFiles(docker, image, await taskFiles({ main: "" }), changes);
  return image;
}

/** Builds every behaviour's image from busybox alone, without a registry. */
export async function buildBehaviourImages(docker: Docker): Promise<BehaviourImages> {
  const names = Object.keys(PROGRAMS) as (keyof BehaviourImages)[];
  const built = await Promise.all(
    names.map(
      async (name) => [name, await buildTaskImage(docker, name.toLowerCase(), PROGRAMS[name])] as const,
    ),
  );
  await importImage(docker, `${TASK_REPOSITORY}/unusable:1`, [], ["/no/such/program"]);
  return Object.fromEntries(built) as unknown as BehaviourImages;
}

/** @returns the image's name, `hearth-test/<name>:1`. */
export async function buildTaskImage(docker: Docker, name: string, program: Program): Promise<string> {
  const image = `${TASK_REPOSITORY}/${name}:1`;
  await importImage(docker, image, await taskFiles(program), ["/bin/sh", "/main"]);
  return image;
}

/** Busybox with its applets, the handler and the program. */
export async function taskFiles({ main, reply = "" }: Program): Promise<readonly TarFile[]> {
  const file = (path: string, text: string): TarFile => ({ path, content: Buffer.from(text), mode: 0o755 });
  const applets = [
    "sh",
    "nc",
    "head",
    "sleep",
    "cat",
    "kill",
    "yes",
    "tail",
    "wget",
    "id",
    "ip",
    "ls",
    "mount",
    "ping",
    ..."chmod env grep mkdir rm setsid touch true umount whoami".split(" "),
  ];
  return [
    { path: "bin/busybox", content: await readFile("/bin/busybox"), mode: 0o755 },
    ...applets.map((name) => ({ path: `bin/${name}`, content: Buffer.alloc(0), linkTo: "busybox" })),
    file("handler", HANDLER),
    file("reply", `${reply}\n`),
    file("main", `${main}\n`),
    { path: "tmp/.keep", content: Buffer.alloc(0) },
  ];
}

/** Imports one layer as an image. */
export async function importImage(
  docker: Docker,
  image: string,
  files: readonly TarFile[],
  command: readonly string[],
): Promise<void> {
  await importFiles(docker, image, files, [`CMD ${JSON.stringify(command)}`]);
}

async function importFiles(
  docker: Docker,
  image: string,
  files: readonly TarFile[],
  changes: readonly string[],
): Promise<void> {
  const [repo, tag] = splitTag(image);
  const stream = await docker.importImage(inOnePiece(tar(files)), {
    repo,
    tag,
    changes: [...changes],
  });
  for await (const chunk of stream) {
    const text = String(chunk);
    if (text.includes('"error"')) throw new Error(`import of ${image}: ${text}`);
  }
}

/**
 * The library takes a buffer, and its types do not know. A stream's end is a write of its own: an engine that has read enough
 * may have answered and hung up by then, and the write's failure takes the place of its answer.
 */
export function inOnePiece(archive: Buffer): NodeJS.ReadableStream {
  return archive as unknown as NodeJS.ReadableStream;
}

function splitTag(image: string): readonly [string, string] {
  const colon = image.lastIndexOf(":");
  return [image.slice(0, colon), image.slice(colon + 1)];
}
