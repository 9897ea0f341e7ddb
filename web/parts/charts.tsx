import type { JSX } from "preact";
import { duration, percent, rate } from "../format.ts";
import { Chart } from "./chart.tsx";

export function Charts(): JSX.Element {
  return (
    <div class="four">
      <Chart
        title="Calls per second"
        about="Calls that ended in each second. Failed ones include refusals."
        lines={[
          { figure: "answered", name: "answered", colour: "--blue", isFilled: true },
          { figure: "failed", name: "failed", colour: "--red", dash: [6, 3] },
        ]}
        print={rate}
      />
      <Chart
        title="Latency"
        about="From accepted to the end of the answer, of the calls answered in each second."
        lines={[
          { figure: "p50", name: "p50", colour: "--blue" },
          { figure: "p90", name: "p90", colour: "--amber", dash: [8, 3] },
          { figure: "p99", name: "p99", colour: "--violet", dash: [2, 3] },
        ]}
        print={duration}
      />
      <Chart
        title="CPU"
        about="Of the whole host: what everything uses, and what tasks have booked."
        most={100}
        lines={[
          { figure: "hostCpu", name: "in use", colour: "--blue", isFilled: true },
          { figure: "taskCpu", name: "booked", colour: "--amber", dash: [8, 3] },
        ]}
        print={percent}
      />
      <Chart
        title="Memory"
        about="Of the whole host: what everything uses, and what tasks have booked."
        most={100}
        lines={[
          { figure: "hostMemory", name: "in use", colour: "--blue", isFilled: true },
          { figure: "taskMemory", name: "booked", colour: "--amber", dash: [8, 3] },
        ]}
        print={percent}
      />
    </div>
  );
}
