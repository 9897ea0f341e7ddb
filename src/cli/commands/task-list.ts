import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson, printTable } from "../print.ts";

export const taskList: Command = {
  name: "list",
  summary: "list the task folders that the daemon knows (process driver)",
  async run({ io, isJson, isQuiet, connect, signal }) {
    const { tasks } = await connect().tasks({ signal });
    if (isJson) await printJson(io, { tasks });
    else if (isQuiet) await io.out(tasks.map(({ id }) => `${id}\n`).join(""));
    else if (tasks.length === 0)
      io.err("no task folders; `hearth task new` makes one (the docker driver runs images)");
    else {
      const rows = tasks.map(({ id, folder, command, problem }) => [
        id,
        problem === undefined ? command.join(" ") : `cannot run: ${problem}`,
        folder,
      ]);
      await printTable(io, ["ID", "COMMAND", "FOLDER"], rows);
    }
    return EXIT.done.code;
  },
};
