import {availableParallelism} from 'node:os';
import {Worker} from 'node:worker_threads';
import {type Outcome} from './run.ts';

export type SeedResult = Pick<Outcome, 'seed' | 'batches' | 'events' | 'tookMs' | 'known'> & {
  readonly isBroken: boolean;
};

/** Seeds from `from` on, each `step` after the one before. */
export interface Share {
  readonly from: number;
  readonly below: number;
  readonly step: number;
}

/**
 * Runs seeds on every processor. A seed is a run wherever it runs, so only the order of the results is another one.
 * @throws what a thread threw; an abort ends all of them and is no error.
 */
export const runSeeds = async (
  from: number,
  count: number,
  onResult: (result: SeedResult) => void,
  signal: AbortSignal,
): Promise<void> => {
  const threads = Math.min(availableParallelism(), count);
  const run = (index: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const share: Share = {from: from + index, below: from + count, step: threads};
      const worker = new Worker(new URL('seed-thread.ts', import.meta.url), {workerData: share});
      const stop = (): void => void worker.terminate();
      signal.addEventListener('abort', stop, {once: true});
      worker.on('message', onResult);
      worker.once('error', reject);
      worker.once('exit', () => resolve());
    });
  await Promise.all(Array.from({length: threads}, (_, index) => run(index)));
};
