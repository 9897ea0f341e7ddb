import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BlobStore } from "../../../core/index.ts";
import { openFileBlobs } from "./file-blobs.ts";

let folder: string;
let store: BlobStore;
const forever = new AbortController().signal;
const REFUSED = { code: "ARTIFACT_KEY_INVALID" };
const uri = (path: string): string => `file://${join(folder, path)}`;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "hearth-file-blobs-")));
  await mkdir(join(folder, "real", "in"), { recursive: true });
  await mkdir(join(folder, "out"));
  await writeFile(join(folder, "out", "secret"), "secret");
  await symlink(join(folder, "real"), join(folder, "blobs"));
  store = openFileBlobs({ roots: [join(folder, "blobs")] });
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

test("a link out of the folders that blobs may lie in is not followed, to read or to write", async () => {
  await symlink(join(folder, "out", "secret"), join(folder, "real", "link"));
  await symlink(join(folder, "out"), join(folder, "real", "folder"));
  for (const path of ["blobs/link", "blobs/folder/secret"]) {
    await expect(store.readUri(uri(path), forever)).rejects.toMatchObject(REFUSED);
    await expect(store.read(uri(path), 100, forever)).rejects.toMatchObject(REFUSED);
    await expect(store.size(uri(path), forever)).rejects.toMatchObject(REFUSED);
  }
  await expect(store.checkWrite(uri("blobs/folder/new/blob"), forever)).rejects.toMatchObject(REFUSED);
  await expect(store.beginWrite(uri("blobs/folder/new/blob"), forever)).rejects.toMatchObject(REFUSED);
  await expect(store.checkWrite(uri("out/blob"), forever)).rejects.toMatchObject(REFUSED);
});

test("a link to what is not there is not followed either: what is put there later may be anywhere", async () => {
  await symlink(join(folder, "out", "later"), join(folder, "real", "dangling"));
  await symlink("nothing", join(folder, "real", "within"));
  for (const path of ["blobs/dangling", "blobs/dangling/blob", "blobs/within"]) {
    await expect(store.readUri(uri(path), forever)).rejects.toMatchObject(REFUSED);
    await expect(store.size(uri(path), forever)).rejects.toMatchObject(REFUSED);
  }
  await expect(store.checkWrite(uri("blobs/dangling/blob"), forever)).rejects.toMatchObject(REFUSED);
  // At the place itself it is replaced by the blob.
  const write = await store.beginWrite(uri("blobs/dangling"), forever);
  await write.complete([], forever);
  expect(await store.size(uri("blobs/dangling"), forever)).toBe(0n);
  expect(await readdir(join(folder, "out"))).toEqual(["secret"]);
});

test("a folder that is a link itself, links within it, and what is not there yet are blobs as ever", async () => {
  await writeFile(join(folder, "real", "in", "a"), "abc");
  await symlink(join(folder, "real", "in"), join(folder, "real", "near"));
  expect(await store.readUri(uri("blobs/near/a"), forever)).toBe(uri("blobs/near/a"));
  expect(await store.size(uri("blobs/near/none/a"), forever)).toBeUndefined();
  const write = await store.beginWrite(uri("blobs/near/new/b"), forever);
  await write.complete([], forever);
  expect(await store.size(uri("blobs/in/new/b"), forever)).toBe(0n);
});

test("what is not there has no address to be read from", async () => {
  const missing = { code: "ARTIFACT_NOT_FOUND", facts: { key: uri("blobs/in/none.json") } };
  await expect(store.readUri(uri("blobs/in/none.json"), forever)).rejects.toMatchObject(missing);
});

test("a folder that this process may not write to is refused before anybody writes there", async () => {
  // Root may write everywhere, unless it gives that up.
  const without = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [];
  const source = fileURLToPath(new URL("file-blobs.ts", import.meta.url));
  await chmod(folder, 0o755);
  await chmod(join(folder, "real", "in"), 0o555);
  const place = JSON.stringify(uri("blobs/in/blob"));
  const script = `
    const { openFileBlobs } = await import(${JSON.stringify(source)});
    const store = openFileBlobs({ roots: [] });
    const never = new AbortController().signal;
    const asked = [store.checkWrite(${place}, never), store.beginWrite(${place}, never)];
    for (const { reason } of await Promise.allSettled(asked)) console.log(reason?.code, reason?.facts.key);`;
  const node = [process.execPath, "--import", "tsx", "--input-type=module", "--eval", script];
  const [program = "", ...argv] = [...without, ...node];
  const { PATH = "" } = process.env;
  const { stdout } = await promisify(execFile)(program, argv, { env: { PATH, TSX_DISABLE_CACHE: "1" } });
  const refused = `ARTIFACT_STORE_DENIED ${uri("blobs/in/blob")}\n`;
  expect(stdout).toBe(refused + refused);
});
