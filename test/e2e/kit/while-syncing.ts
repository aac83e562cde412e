import {startFleet, type RunningFleet} from './fleet.ts';
import {type Region} from './region.ts';

const FLEET = {devices: 60, batches: 8, records: 5, seconds: 15} as const;

export interface Synced<T> {
  readonly result: T;
  /** Calls that got no 2xx, by what went wrong. */
  readonly failedCalls: Readonly<Record<string, number>>;
}

/** Has devices sync for as long as the work takes, one fleet after the other, and has each fleet's ledger judged at the end. */
export async function whileSyncing<T>(region: Region, work: () => Promise<T>): Promise<Synced<T>> {
  const state = {working: true};
  const failedCalls: Record<string, number> = {};
  const ended: RunningFleet[] = [];
  const fleets = async (): Promise<void> => {
    while (state.working) {
      const fleet = await startFleet(region, FLEET);
      const {errors} = await fleet.done;
      for (const [error, count] of Object.entries(errors)) failedCalls[error] = (failedCalls[error] ?? 0) + count;
      ended.push(fleet);
    }
  };
  const worked = work().finally(() => {
    state.working = false;
  });
  const [result] = await Promise.all([worked, fleets()]);
  // Only now: the judge reads the shards, which may have been away.
  for (const fleet of ended) {
    const {ok, acked, lost, duplicated} = await fleet.judge();
    if (!ok || lost > 0 || duplicated > 0 || acked !== FLEET.devices * FLEET.batches)
      throw new Error(`the ledger: ${JSON.stringify({ok, acked, lost, duplicated})}`);
  }
  return {result, failedCalls};
}
