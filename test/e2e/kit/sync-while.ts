import {allRows} from './device.ts';
import {startFleet, type Report, type TimedCall, type Verdict} from './fleet.ts';
import {type Region} from './region.ts';
import {until} from './until.ts';

/** Receipts of both shards: one a batch that was applied. */
const receiptsIn = async (region: Region): Promise<number> =>
  (await allRows(region, 'select count(*) from receipt')).reduce((total, count) => total + Number(count), 0);

/**
 * Starts devices, breaks something while they sync, waits until every batch got its 2xx, and has the ledger judged.
 *
 * @param fault begins when devices are at work, and is told what their calls were so far; what it returns is printed with what was seen
 */
export async function syncWhile(
  region: Region,
  fleetOptions: Parameters<typeof startFleet>[1],
  fault: (calls: () => readonly TimedCall[]) => Promise<string>,
): Promise<{readonly report: Report; readonly verdict: Verdict; readonly calls: readonly TimedCall[]}> {
  const before = await receiptsIn(region);
  const fleet = await startFleet(region, fleetOptions);
  await until(
    'the fleet to be at work',
    async () => {
      const applied = (await receiptsIn(region)) - before;
      if (applied <= 60) throw new Error(`${applied} batches are applied`);
      return true;
    },
    {everyMs: 100},
  );
  const seen = await fault(() => fleet.calls());
  const report = await fleet.done;
  const verdict = await fleet.judge();
  const {acked, applied, lost, duplicated} = verdict;
  process.stdout.write(
    `    saw ${seen}; then ${JSON.stringify({acked, applied, lost, duplicated, failedCalls: report.errors, slowestCallMs: report.request.maxMs})}\n`,
  );
  return {report, verdict, calls: fleet.calls()};
}
