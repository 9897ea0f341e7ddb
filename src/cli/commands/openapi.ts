import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const openapi: Command = {
  name: "openapi",
  summary: "print the API's description (OpenAPI 3.1); needs no daemon",
  async run({ io, parts }) {
    await io.out(`${JSON.stringify(await parts.openapi(), null, 2)}\n`);
    return EXIT.done.code;
  },
};
