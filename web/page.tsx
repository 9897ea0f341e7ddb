import type { JSX } from "preact";
import { Books } from "./parts/books.tsx";
import { Charts } from "./parts/charts.tsx";
import { Dialogs } from "./parts/dialogs.tsx";
import { Errors } from "./parts/errors.tsx";
import { FleetTable } from "./parts/fleet.tsx";
import { Happened } from "./parts/happened.tsx";
import { Head } from "./parts/head.tsx";
import { Jobs } from "./parts/jobs.tsx";
import { Offer } from "./parts/offer.tsx";
import { Queue } from "./parts/queue.tsx";
import { Runs } from "./parts/runs.tsx";
import { Starts } from "./parts/starts.tsx";
import { Tasks } from "./parts/tasks.tsx";
import { host } from "./state/live.ts";

export function Page(): JSX.Element {
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <Head />
      <main id="main">
        <Charts />
        <div class="two">
          <Books />
          <Queue />
        </div>
        <Tasks />
        <Jobs />
        <div class="two">
          <Starts />
          <Errors />
        </div>
        <Runs />
        <FleetTable />
        <div class="two">
          <Offer />
          <Happened />
        </div>
      </main>
      <footer>
        <span>Hearth {host.value?.version}</span>
        <a href="/openapi.json">API</a>
        <a href="/monitoring/metrics">Metrics</a>
      </footer>
      <Dialogs />
    </>
  );
}
