import type { DeadLetter, FleetHost } from "../../src/core/index.ts";
import type { QueueDesk } from "../../src/doors/http/queue-desk.ts";

const FIGURES = {
  claimed: 3,
  takenOver: 0,
  released: 0,
  committed: 2,
  lost: 0,
  deadLettered: 1,
  vanished: 0,
  reconnects: 0,
  emptied: 0,
  buffered: 0,
};

const HOST: FleetHost = {
  hostId: "host-1",
  name: "one",
  version: "0.1.0",
  startedAtMs: 1_700_000_000_000,
  seenAtMs: 1_700_000_001_000,
  state: "running",
  labels: { room: "a" },
  capacity: { cpuMillis: 2000, memoryBytes: 4_294_967_296, gpuCount: 0 },
  reserved: { cpuMillis: 0, memoryBytes: 0, gpuCount: 0 },
  jobs: { running: 1, waiting: 0 },
  warm: ["echo process"],
  executerTypes: ["test"],
};

const LETTER: DeadLetter = {
  id: "1-0",
  stream: "test_requests",
  entryId: "1-0",
  jobId: "k2p9",
  reason: "it has no id",
  deaths: 0,
  atMs: 1_700_000_000_500,
  fields: { method: "test.sleep" },
};

/** A queue of one host, one job that is held and one dead entry. */
export const fakeQueue: QueueDesk = {
  hostId: HOST.hostId,
  view: () => ({
    isOn: true,
    state: "connected",
    executerId: "9f0c0000-0000-4000-8000-000000000000",
    streams: ["test_requests"],
    figures: FIGURES,
    jobs: [
      {
        jobId: "k2p9",
        attempt: 1,
        deaths: 0,
        stream: "test_requests",
        entryId: "2-0",
        executerType: "test",
        method: "test.sleep",
        step: "running",
        sandboxId: "sandbox-of-k2p9",
        ageMs: 5,
      },
    ],
  }),
  hosts: () => Promise.resolve([HOST]),
  deadLetters: () => Promise.resolve([LETTER]),
  replay: () => Promise.resolve(0),
};
