import type { Endpoint, WorkerSandbox, WorkerSpec } from "../../core/index.ts";
import type { FakeDriver } from "./fake-driver.ts";
import { FakeJob } from "./fake-job.ts";

const NO_FOLDER = { localPath: "", hostPath: "", target: "" } as const;
const NO_IMAGE = { digest: "", wasPulled: false } as const;

/** A worker that runs until it is told how it ended; it listens where no worker does. */
export class FakeWorker extends FakeJob implements WorkerSandbox {
  readonly endpoint: Endpoint;
  override readonly isTakenOver = false;

  constructor(driver: FakeDriver, spec: WorkerSpec, startedAtMs: number) {
    const command = spec.command("0.0.0.0:8080");
    super(driver, { ...spec, image: spec.image ?? NO_IMAGE, command, workDir: NO_FOLDER }, startedAtMs);
    this.endpoint = { host: spec.sandboxId, port: 8080 };
  }

  endpointOf(port: number): Endpoint {
    return { host: this.endpoint.host, port };
  }
}
