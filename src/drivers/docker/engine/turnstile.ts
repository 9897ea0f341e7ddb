/** Lets a bounded number of pieces of work run at once; the others wait in the order in which they came. */
export class Turnstile {
  readonly #waiting: (() => void)[] = [];
  #room: number;

  constructor(atOnce: number) {
    this.#room = atOnce;
  }

  /** Settles as the work does, once it has had its turn. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#room > 0) this.#room -= 1;
    else {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#room += 1;
      else next();
    }
  }
}
