import { describeWorkerDriver } from "../conformance/sandbox-driver.ts";
import { openProcessHarness } from "../support/process-harness.ts";

describeWorkerDriver("process", () => openProcessHarness());

// What hosts without the one or the other get: the same promises, kept by other means.
describeWorkerDriver("process (nothing but processes)", () =>
  openProcessHarness({ avoid: ["bubblewrap", "cgroup", "setpriv", "network"] }),
);
