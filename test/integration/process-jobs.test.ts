import { describeJobDriver } from "../conformance/sandbox-driver.ts";
import { openProcessHarness } from "../support/process-harness.ts";

describeJobDriver("process", () => openProcessHarness());

// What hosts without the one or the other get: the same promises, kept by other means.
describeJobDriver("process (walls made anew)", () => openProcessHarness({ avoid: ["copies"] }));
describeJobDriver("process (no bubblewrap)", () => openProcessHarness({ avoid: ["bubblewrap"] }));
describeJobDriver("process (nothing but processes)", () =>
  openProcessHarness({ avoid: ["bubblewrap", "cgroup", "setpriv", "network"] }),
);
