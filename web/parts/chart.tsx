import { effect, signal, untracked } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { clock } from "../format.ts";
import type { Figure } from "../state/history.ts";
import { history } from "../state/history.ts";
import { isDark } from "../state/theme.ts";

export interface Line {
  readonly figure: Figure;
  readonly name: string;
  /** A custom property of the style sheet. */
  readonly colour: string;
  /** Lines differ by more than their colour. */
  readonly dash?: number[];
  readonly isFilled?: boolean;
}

export interface ChartProps {
  readonly title: string;
  readonly about: string;
  readonly lines: readonly Line[];
  /** Top of the scale, where it is always the same. */
  readonly most?: number;
  print(value: number): string;
}

const HEIGHT = 132;
/** A page that was just opened shows a minute; one that stays open, five. */
const LEAST_SPAN_S = 60;
const SPAN_S = 300;

/** The moment under the pointer, on all charts at once; `undefined` when it is elsewhere. */
const pointed = signal<number | undefined>(undefined);

/** One figure or a few over the last minutes, with what they are now or were at the pointer. */
export function Chart(props: ChartProps): JSX.Element {
  const { title, about, lines, print } = props;
  const { times, figures } = history.value;
  const at = pointed.value ?? times.length - 1;
  const text = (figure: Figure): string => {
    const value = figures[figure][at];
    return value === null || value === undefined ? "–" : print(value);
  };
  const summary = lines.map(({ name, figure }) => `${name} ${text(figure)}`).join(", ");
  return (
    <section class="card chart" aria-label={title}>
      <header>
        <h2 title={about}>{title}</h2>
        <ul class="legend">
          {lines.map(({ name, figure, colour, dash }) => (
            <li key={figure}>
              <svg class="key" viewBox="0 0 18 6" aria-hidden="true">
                <line
                  x1="0"
                  x2="18"
                  y1="3"
                  y2="3"
                  stroke={`var(${colour})`}
                  stroke-width="2.5"
                  stroke-dasharray={dash?.join(" ")}
                />
              </svg>
              <span class="name">{name}</span>
              <b>{text(figure)}</b>
            </li>
          ))}
        </ul>
      </header>
      <div role="img" aria-label={`${title}, now: ${summary}`}>
        <Plot {...props} />
      </div>
    </section>
  );
}

function Plot(props: ChartProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    return element === null ? undefined : draw(element, props);
    // What a chart shows never changes while it stands; its figures come over the signal.
  }, []);
  return <div class="plot" ref={box} />;
}

/** Draws until what is returned is called: anew when the colours change, further when a sample comes. */
function draw(box: HTMLDivElement, props: ChartProps): () => void {
  let plot: uPlot | undefined;
  const stopDrawing = effect(() => {
    isDark.value satisfies boolean;
    plot?.destroy();
    plot = untracked(() => new uPlot(optionsOf(box, props), dataOf(props), box));
  });
  const stopFeeding = effect(() => {
    plot?.setData(dataOf(props));
  });
  const sizes = new ResizeObserver(() => {
    plot?.setSize({ width: box.clientWidth, height: HEIGHT });
  });
  sizes.observe(box);
  return () => {
    sizes.disconnect();
    stopFeeding();
    stopDrawing();
    plot?.destroy();
  };
}

function dataOf({ lines }: ChartProps): uPlot.AlignedData {
  const { times, figures } = history.value;
  return [[...times], ...lines.map(({ figure }) => [...figures[figure]])];
}

function optionsOf(box: HTMLElement, { lines, most, print }: ChartProps): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const font = `11px ${colour("--font")}`;
  const axis = { stroke: colour("--muted"), font, ticks: { show: false }, border: { show: false } };
  return {
    width: Math.max(80, box.clientWidth),
    height: HEIGHT,
    legend: { show: false },
    cursor: {
      sync: { key: "hearth" },
      drag: { x: false, y: false },
      y: false,
      points: { size: 6 },
    },
    padding: [8, 24, 0, 0], // half of a time stands beyond the last tick
    scales: {
      x: { range: ({ data: [times] }) => spanOf(times[0], times.at(-1)) },
      y: { range: (_plot, _min, max) => [0, most ?? niceTop(max)] },
    },
    axes: [
      { ...axis, size: 22, space: 70, grid: { show: false }, values: clockOf },
      {
        ...axis,
        size: 52,
        space: 34,
        gap: 4,
        grid: { stroke: colour("--line"), width: 1 },
        values: (_plot, splits) => splits.map(print),
      },
    ],
    hooks: {
      setCursor: [
        (plot) => {
          pointed.value =
            plot.cursor.left === undefined || plot.cursor.left < 0
              ? undefined
              : (plot.cursor.idx ?? undefined);
        },
      ],
    },
    series: [
      {},
      ...lines.map(({ figure, colour: name, dash, isFilled }) => ({
        label: figure,
        stroke: colour(name),
        width: 2,
        points: { show: true, size: 5, filter: loneValues },
        spanGaps: false,
        ...(dash === undefined ? {} : { dash }),
        ...(isFilled === true ? { fill: `${colour(name)}22` } : {}),
      })),
    ],
  };
}

/** A value with nothing on either side is no line, and would not be seen. */
function loneValues(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const isBlank = (at: number): boolean => values[at] === null || values[at] === undefined;
  return Array.from(values, (_, at) => at).filter((at) => !isBlank(at) && isBlank(at - 1) && isBlank(at + 1));
}

/** Not what uPlot proposes: of a single moment it makes a day. */
function spanOf(first: number | undefined, last: number | undefined): [number, number] {
  const end = last ?? Date.now() / 1000;
  return [Math.max(end - SPAN_S, Math.min(end - LEAST_SPAN_S, first ?? end)), end];
}

/** The next 1, 2 or 5 times a power of ten, so that the scale does not jump with each sample. */
function niceTop(max: number | null): number {
  if (max === null || !(max > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(max));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= max * 1.05) ?? 20 * power;
}

/** With seconds while only a minute or two are shown. */
function clockOf(plot: uPlot, splits: number[]): string[] {
  const { min = 0, max = 0 } = plot.scales["x"] ?? {};
  const digits = max - min > 150 ? 5 : 8;
  return splits.map((time) => clock(time * 1000).slice(0, digits));
}
