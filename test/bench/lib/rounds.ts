/** Runs each variant once a round, in another order each time, so that drift of the machine meets all of them. */
export async function interleave<N extends string, R>(
  variants: readonly N[],
  rounds: number,
  measure: (variant: N) => Promise<R>,
): Promise<Record<N, R[]>> {
  const results = Object.fromEntries(variants.map((name) => [name, []])) as unknown as Record<N, R[]>;
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? variants : [...variants].reverse();
    for (const name of order) results[name].push(await measure(name));
  }
  return results;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** The median of the rounds' own ratios: what drifts from round to round cancels out. */
export function ratio(above: readonly number[], below: readonly number[]): number {
  return median(above.map((value, round) => value / (below[round] ?? Number.NaN)));
}
