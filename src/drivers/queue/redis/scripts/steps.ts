import { script } from "../evaluate.ts";
import { COMMON } from "./common.ts";
import { COMMIT, PUBLISH } from "./ending.ts";
import { RENEW } from "./leases.ts";

/** One deed within {@link STEPS}; its `verb` names it, what else it takes stands where it is written. */
export interface Step {
  readonly verb: "commit" | "publish" | "renew";
}

/**
 * Takes `o.steps` one after the other, each for itself: one that fails changes nothing for the next. Returns for each `{1, result}`
 * or `{0, reason}`. What is said of many jobs at the same moment costs Redis, and us, little more than what is said of one.
 */
export const STEPS = script(
  COMMON,
  "local verbs = {}",
  COMMIT,
  PUBLISH,
  RENEW,
  `
local results = {}
for i, step in ipairs(o.steps) do
  local ok, result = pcall(verbs[step.verb], step)
  if ok then results[i] = {1, result} else results[i] = {0, reasonOf(result)} end
end
return results
`,
);
