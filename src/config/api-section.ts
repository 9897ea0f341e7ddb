import * as z from "zod";
import { records, secret, section, text, toggle, whole } from "./leaf.ts";

const MEBIBYTE = 1024 * 1024;
const GIBIBYTE = 1024 * MEBIBYTE;

const methodEntry = z.strictObject({
  method: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}$/),
  executer_type: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/),
});

export const api = section(
  "The web API that `hearth api` serves to clients of the executer tracker (docs/jobs.md). It shares the Redis and the artifact store of `stream`.",
  {
    host: text("", {
      defaultText: "`127.0.0.1`; in our container image the container's own address",
      about: "The address to listen on. Beyond this host, set a key.",
    }),
    port: whole({ default: 8000, min: 0, max: 65_535, about: "The port to listen on; 0 takes a free one." }),
    key: secret({ about: "What clients send as `X-API-Key`. Without one it is `1234`, on this host alone." }),
    key_file: text("", { isPath: true, about: "A file that holds the key." }),
    open_registration: toggle(true, {
      about:
        "Let hosts register without the key, as those of 2023 do. Without this they send it: `stream.api_token`.",
    }),
    methods: records(methodEntry, {
      expects: "a list of {method, executer_type}",
      about:
        "Which executer type runs a method; `area.simulator.run_simulation` names its own, and the few that clients of 2023 know beside it are there.",
    }),
    upload_bytes: whole({
      default: 4 * GIBIBYTE,
      min: 1024,
      max: 1024 * GIBIBYTE,
      unit: "bytes",
      about: "The longest input of a task.",
    }),
    tasks: whole({
      default: 100_000,
      min: 100,
      max: 10_000_000,
      about: "Tasks that are remembered; the oldest that are over are forgotten first.",
    }),
  },
);
