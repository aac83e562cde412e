/** A thread of {@link runSeeds}: every so many-th seed, one after the other. */
import {parentPort, workerData} from 'node:worker_threads';
import {type Share, type SeedResult} from './seeds.ts';
import {runSeed} from './run.ts';

// Only runSeeds starts it, with a share.
const {from, below, step} = workerData as Share;
for (let seed = from; seed < below; seed += step) {
  const {batches, events, tookMs, known, violations} = await runSeed({seed});
  const result: SeedResult = {seed, batches, events, tookMs, known, isBroken: violations.length > 0};
  parentPort?.postMessage(result);
}
