import { constants } from "node:fs";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { looksAtOnce } from "./looks.ts";
import { openNew, openNewSafe, writeAll } from "./new-file.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-new-file-"));
});
afterEach(async () => rm(folder, { recursive: true }));

test.each([
  ["plain", openNew, 0],
  ["safe", openNewSafe, constants.O_DSYNC],
])(
  "a %s new file takes the place of none, has its mode and tells the kernel how its bytes go to disk",
  async (_, make, flag) => {
    const path = join(folder, "file");
    const fd = await make(path, 0o600);
    const [, flags = ""] = /^flags:\s+(\d+)/m.exec(await readFile(`/proc/self/fdinfo/${fd}`, "utf8")) ?? [];
    expect(Number.parseInt(flags, 8) & constants.O_DSYNC).toBe(flag);
    await writeAll(fd, Buffer.from("bytes"));
    await looksAtOnce.close(fd);
    await expect(make(path, 0o600)).rejects.toMatchObject({ code: "EEXIST" });
    await using file = await open(path);
    expect((await file.stat()).mode & 0o777).toBe(0o600);
    expect(await file.readFile("utf8")).toBe("bytes");
  },
);
