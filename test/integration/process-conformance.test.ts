import { describeSandboxDriver } from "../conformance/sandbox-driver.ts";
import { openProcessHarness } from "../support/process-harness.ts";

describeSandboxDriver("process", () => openProcessHarness());

// What hosts without the one or the other get: the same promises, kept by other means.
describeSandboxDriver("process (walls made anew)", () => openProcessHarness({ avoid: ["copies"] }));
describeSandboxDriver("process (no bubblewrap)", () => openProcessHarness({ avoid: ["bubblewrap"] }));
describeSandboxDriver("process (the host's network)", () => openProcessHarness({ avoid: ["network"] }));
describeSandboxDriver("process (nothing but processes)", () =>
  openProcessHarness({ avoid: ["bubblewrap", "cgroup", "setpriv", "network"] }),
);
