import { describeRunStore } from "../../../test/conformance/run-store.ts";
import { MemoryRunStore } from "./memory-run-store.ts";

describeRunStore("memory", {
  open: (limits, nowMs) => Promise.resolve(new MemoryRunStore(limits, nowMs)),
});
