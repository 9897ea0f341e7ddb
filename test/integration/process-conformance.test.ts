import { describeSandboxDriver } from "../conformance/sandbox-driver.ts";
import { openProcessHarness } from "../support/process-harness.ts";

describeSandboxDriver("process", () => openProcessHarness());
