import {join} from 'node:path';
import {RECORDS_PER_SYNC} from './devices.ts';
import {interleave, type Sample} from './measure.ts';
import {type Servers} from './servers.ts';
import {type GroupSizes, type PacedSample, startLean, startPiSync, startSeed, type SyncPath} from './sync-path.ts';

export interface ComparisonOptions {
  readonly servers: Servers;
  readonly rounds: number;
  /** Of one sample: with all that a side takes, with a given pace, and before the first of them. */
  readonly loadMs: number;
  readonly pacedMs: number;
  readonly warmUpMs: number;
  /** Takes files. */
  readonly folder: string;
  readonly onSample: (round: number, name: string, sample: Sample) => void;
}

/** `seed`: what a team would write first. `lean`: what a good engineer would write in a day, without a queue. */
type Sides<T> = Readonly<Record<'seed' | 'lean' | 'pisync', T>>;

export interface SyncComparison {
  readonly records: number;
  readonly best: Sides<readonly Sample[]>;
  readonly paced: Sides<readonly PacedSample[]>;
}

/** A sync of what has just happened, and one of what a device gathers in a minute or so. */
const RECORDS = [1, RECORDS_PER_SYNC] as const;
/** Syncs a second of 20,000 devices that sync once a minute. */
export const PACE = 333;

/** All sides, interleaved, each with a database of its own. @throws Error when a side did not apply each accepted sync once. */
export const compareSyncPaths = async (
  options: ComparisonOptions,
): Promise<{readonly compared: readonly SyncComparison[]; readonly groups: GroupSizes}> => {
  const {servers, rounds, loadMs, pacedMs, warmUpMs, folder, onSample} = options;
  // What was opened is closed in reverse order, also when a measure fails.
  await using opened = new AsyncDisposableStack();
  const own = <T extends SyncPath>(side: T): T => opened.adopt(side, (it) => it.close());
  const seed = own(await startSeed(servers));
  const lean = own(await startLean(servers));
  const pisync = own(await startPiSync(servers, join(folder, 'bench')));
  const all = [seed, lean, pisync];

  const compared: SyncComparison[] = [];
  for (const records of RECORDS) {
    const named = (what: string) => (round: number, name: string, sample: Sample) =>
      onSample(round, `${name}, ${records} records a sync, ${what}`, sample);
    for (const side of all) await side.measure(warmUpMs, records);
    const best = await interleave(
      rounds,
      {
        seed: () => seed.measure(loadMs, records),
        lean: () => lean.measure(loadMs, records),
        pisync: () => pisync.measure(loadMs, records),
      },
      named('all that it takes'),
    );
    const paced = await interleave(
      rounds,
      {
        seed: () => seed.pace(pacedMs, records, PACE),
        lean: () => lean.pace(pacedMs, records, PACE),
        pisync: () => pisync.pace(pacedMs, records, PACE),
      },
      named(`${PACE}/s`),
    );
    compared.push({records, best, paced});
  }
  for (const side of all) await side.check();
  return {compared, groups: await pisync.groupSizes()};
};
