import type { Command } from "../command.ts";
import { textArg } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatBytes, printJson } from "../print.ts";

export const prefetch: Command = {
  name: "prefetch",
  summary: "fetch an image before it is needed, or what its tag names now",
  args: [{ name: "<image>", about: "the image, or the id of a task folder" }],
  async run({ io, isJson, isQuiet, connect, signal }, { args }) {
    const image = textArg(args[0]) ?? "";
    let said = -1;
    const done = await connect().prefetch(image, {
      signal,
      onProgress({ doneBytes, totalBytes }) {
        if (isQuiet) return;
        const progress = `${image}: ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
        const tenth = totalBytes === 0 ? 0 : Math.floor((10 * doneBytes) / totalBytes);
        if (io.isErrTty) io.status(progress);
        else if (tenth > said) io.err(`hearth: ${progress}`);
        said = Math.max(said, tenth);
      },
    });
    io.status("");
    if (isJson) await printJson(io, done);
    else if (isQuiet) await io.out(`${done.digest}\n`);
    else {
      const old =
        done.retired === 0 ? "" : `; ${done.retired} warm tasks of the older content take no more calls`;
      await io.out(`${done.digest} ${done.wasPulled ? "fetched" : "was here"}${old}\n`);
    }
    return EXIT.done.code;
  },
};
