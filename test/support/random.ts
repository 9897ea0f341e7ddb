/** A small seeded generator, so that a failing run can be repeated. */
export interface Random {
  /** 0 up to, not including, `below`; whole. */
  int(below: number): number;
  pick<T>(items: readonly T[]): T;
  isOneIn(n: number): boolean;
}

/** @param seed any 32-bit number; the same one gives the same sequence (mulberry32). */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return {
    int,
    pick: <T>(items: readonly T[]): T => {
      const item = items[int(items.length)];
      if (item === undefined) throw new Error("nothing to pick from");
      return item;
    },
    isOneIn: (n) => int(n) === 0,
  };
}
