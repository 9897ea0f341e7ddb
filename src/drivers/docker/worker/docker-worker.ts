import type { Endpoint, WorkerSandbox } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import type { JobParts } from "../job/docker-job.ts";
import { DockerJob } from "../job/docker-job.ts";
import { PUBLISHED_HOST, TASK_PORT } from "../options.ts";

/** One container that serves until it is ended. */
export class DockerWorker extends DockerJob implements WorkerSandbox {
  readonly endpoint: Endpoint;

  constructor(engine: Engine, parts: JobParts, endpoint: Endpoint) {
    super(engine, parts);
    this.endpoint = endpoint;
  }

  endpointOf(port: number): Endpoint | undefined {
    const { host, port: own } = this.endpoint;
    if (port === TASK_PORT) return this.endpoint;
    // One that is published has the engine's choice of port on this host's loopback, where every other port is somebody else's.
    return own === TASK_PORT && host !== PUBLISHED_HOST ? { host, port } : undefined;
  }
}
