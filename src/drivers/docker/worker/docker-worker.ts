import type { Endpoint, WorkerSandbox } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import type { JobParts } from "../job/docker-job.ts";
import { DockerJob } from "../job/docker-job.ts";

/** One container that serves until it is ended. */
export class DockerWorker extends DockerJob implements WorkerSandbox {
  readonly endpoint: Endpoint;

  constructor(engine: Engine, parts: JobParts, endpoint: Endpoint) {
    super(engine, parts);
    this.endpoint = endpoint;
  }
}
