import {type Law} from '../judge/laws.ts';
import {runSeed} from '../run.ts';
import {type Mutant} from './mutant.ts';

/** How a mutant was caught, over some hunts. */
export interface Catch {
  readonly mutant: string;
  /** The one that caught it most often; undefined when a hunt ended without. */
  readonly law: Law | undefined;
  /** Of each hunt, how many it took. */
  readonly seeds: readonly number[];
  readonly median: number | undefined;
}

export interface HuntOptions {
  readonly hunts: number;
  /** Of one hunt. */
  readonly mostSeeds: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (seeds: number, caught: number) => void;
}

/** Hunts begin where the last one ended, so that they are independent. */
export const huntMutant = async (mutant: Mutant, options: HuntOptions): Promise<Catch> => {
  const {hunts, mostSeeds, signal, onProgress} = options;
  const seeds: number[] = [];
  const laws = new Map<Law, number>();
  let seed = 1;
  let saidAt = performance.now();
  while (seeds.length < hunts) {
    let tried = 0;
    for (let isCaught = false; !isCaught;) {
      if (tried === mostSeeds || signal?.aborted === true) {
        return {mutant: mutant.name, law: undefined, seeds, median: undefined};
      }
      const {violations} = await runSeed({seed, mutant});
      seed += 1;
      tried += 1;
      isCaught = violations.length > 0;
      // The first law to say so: they stand in the order in which they say most.
      const [first] = violations;
      if (first !== undefined) laws.set(first.law, (laws.get(first.law) ?? 0) + 1);
      if (performance.now() - saidAt >= 1000) {
        saidAt = performance.now();
        onProgress?.(seed - 1, seeds.length);
      }
    }
    seeds.push(tried);
  }
  const sorted = [...seeds].sort((a, b) => a - b);
  const [most] = [...laws].sort(([, a], [, b]) => b - a);
  return {mutant: mutant.name, law: most?.[0], seeds, median: sorted[sorted.length >> 1]};
};
