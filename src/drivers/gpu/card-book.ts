import type { GpuReading } from "../../core/index.ts";
import type { ChosenCards } from "./chosen-cards.ts";
import type { Card, CardsReport } from "./report.ts";

const NO_LONGER_LISTED = "its driver no longer lists it";

/**
 * All cards that were ever seen in one watch. One that is not seen any more stays, unhealthy and with the reason: whoever
 * holds it must hear of that, and whoever asks must not be told that there never was one.
 */
export class CardBook {
  readonly #chosen: ChosenCards;
  readonly #cards = new Map<string, Card>();
  /** What happened to a card and does not pass by itself. */
  readonly #broken = new Map<string, string>();
  /** Why cards that are not in the last report are not. */
  readonly #absent = new Map<string, string>();
  #outage: string | undefined;
  #driver: string | undefined;
  #unreadable: CardsReport["unreadable"] = [];

  constructor(chosen: ChosenCards) {
    this.#chosen = chosen;
  }

  take({ cards, unreadable, driver }: CardsReport): void {
    this.#outage = undefined;
    this.#chosen.meet(cards);
    this.#forgive(driver, cards);
    this.#absent.clear();
    const here = new Set(cards.map(({ id }) => id));
    for (const card of cards) {
      this.#cards.set(card.id, card);
      if (card.broke !== undefined) this.#broken.set(card.id, card.broke);
    }
    for (const { id, index } of this.#cards.values()) {
      if (here.has(id)) continue;
      this.#absent.set(id, unreadable.find((one) => one.index === index)?.reason ?? NO_LONGER_LISTED);
    }
    const indices = new Set([...this.#absent.keys()].map((id) => this.#cards.get(id)?.index));
    this.#unreadable = unreadable.filter(({ index }) => !indices.has(index));
  }

  /** A driver of another version was loaded anew, and a card that was taken off the list was set up anew: both reset it. */
  #forgive(driver: string, cards: readonly Card[]): void {
    if (driver !== "") {
      if (driver !== this.#driver) this.#broken.clear();
      this.#driver = driver;
    }
    for (const { id } of cards) if (this.#absent.get(id) === NO_LONGER_LISTED) this.#broken.delete(id);
  }

  /** Nothing is known of any card until the next report. */
  lose(reason: string): void {
    this.#outage = reason;
  }

  /** What is wrong beside what the readings say. */
  get remark(): string | undefined {
    const [first] = this.#unreadable;
    if (first !== undefined) return `card ${first.index} cannot be read: ${first.reason}`;
    const total = this.#cards.size;
    if (total > 0 && this.readings().length === 0)
      return `none of the ${total} cards here is for this daemon to use`;
    return total === 0 ? "the driver lists no card" : undefined;
  }

  readings(): readonly GpuReading[] {
    return [...this.#cards.values()]
      .filter(({ id }) => this.#chosen.has(id))
      .sort((a, b) => a.index - b.index || (a.id < b.id ? -1 : 1))
      .map((card) => this.#reading(card));
  }

  /** By UUID; `undefined` for a card that was never seen or whose driver does not tell. */
  minorOf(id: string): number | undefined {
    return this.#cards.get(id)?.minor;
  }

  #reading(card: Card): GpuReading {
    const { id, index, model, memoryBytes, memoryUsedBytes, computePercent, pids } = card;
    const reason = this.#outage ?? this.#absent.get(id) ?? this.#broken.get(id) ?? card.fault;
    const health =
      reason === undefined ? ({ isHealthy: true } as const) : { isHealthy: false as const, reason };
    return { id, index, model, memoryBytes, memoryUsedBytes, computePercent, health, pids };
  }
}
