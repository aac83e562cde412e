import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {shardRows} from './kit/device.ts';
import {type TimedCall, type Verdict} from './kit/fleet.ts';
import {helmInstall, operatorDeployment, operatorKubectl} from './kit/operator.ts';
import {dropRegion, readyRegion, untilReady, type Region} from './kit/region.ts';
import {syncWhile} from './kit/sync-while.ts';
import {until} from './kit/until.ts';

/** Two minutes and more of work, so that every service is restarted while devices sync and somebody has a row, or a shard is gone. */
const FLEET = {devices: 200, batches: 30, records: 20, seconds: 150} as const;
const BATCHES = FLEET.devices * FLEET.batches;
const FAULT_SECONDS = 120;
const SERVICES = ['device-api', 'worker', 'admin-api', 'keeper'] as const;
/** What was refused three times while a row was damaged comes again after ten minutes. */
const THIRD_RUNG_SECONDS = 660;
/** What the fault may add to the slowest hundredth of the others' calls. */
const MOST_SLOWER = 1.25;

/** Milliseconds that a share of the calls took at most. */
const quantile = (calls: readonly TimedCall[], share: number): number => {
  const sorted = calls.map(({tookMs}) => tookMs).sort((a, b) => a - b);
  const found = sorted[Math.ceil(sorted.length * share) - 1];
  if (found === undefined) throw new Error('nobody called');
  return found;
};

describe('every service is restarted under load', () => {
  let region: Region;
  /** The slowest hundredth of the others' calls, by what was the matter. */
  const slowestMs = new Map<string, number>();
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('restarted');
  }, 300_000);
  afterAll(() => dropRegion(region), 90_000);

  const restartServices = async (): Promise<void> => {
    const deployments = SERVICES.map((service) => `deployment/${region.name}-${service}`);
    for (const deployment of deployments) {
      await region.kubectl.ok(['rollout', 'restart', deployment]);
      await region.kubectl.ok(['rollout', 'status', deployment, '--timeout=100s'], undefined, 110_000);
    }
  };

  /** One that has synced, so that its row is there. */
  const someDevice = (calls: () => readonly TimedCall[], shard: number): Promise<string> =>
    until('a device of the shard to have synced', async () => {
      const ids = calls()
        .map(({device}) => `'${device}'`)
        .join(',');
      const found = await shardRows(
        region,
        shard,
        `select device_id from device where device_id::text in (${ids || "''"}) limit 1`,
      );
      return found[0];
    });

  const devicesOf = async (shard: number): Promise<ReadonlySet<string>> =>
    new Set(await shardRows(region, shard, 'select device_id from device'));

  const nothing = (): Promise<() => Promise<void>> => Promise.resolve(() => Promise.resolve());

  interface Seen {
    readonly verdict: Verdict;
    readonly calls: readonly TimedCall[];
  }
  /** @param fault what it resolves to ends the fault */
  const restartedWhile = async (
    fault: (calls: () => readonly TimedCall[]) => Promise<() => Promise<unknown>>,
    judgeSeconds = 90,
  ): Promise<Seen> => {
    const seen = await syncWhile(region, {...FLEET, judgeSeconds}, async (calls) => {
      const endsAtMs = performance.now() + FAULT_SECONDS * 1000;
      const end = await fault(calls);
      let restarts = 0;
      try {
        // Again and again, so that the slowest calls are those of several restarts.
        for (; performance.now() < endsAtMs; restarts++) await restartServices();
      } finally {
        await end();
      }
      return `${SERVICES.join(', ')} restarted ${restarts} times`;
    });
    expect(seen.verdict).toMatchObject({ok: true, acked: BATCHES, applied: BATCHES, lost: 0, duplicated: 0});
    return seen;
  };

  const note = (
    what: string,
    calls: readonly TimedCall[],
    concerned: (device: string) => boolean = () => false,
  ): void => {
    const others = calls.filter(({device}) => !concerned(device));
    const [half, most, nearlyAll] = [0.5, 0.95, 0.99].map((share) => quantile(others, share).toFixed(0));
    process.stdout.write(`    ${what}: p50 ${half} ms, p95 ${most} ms, p99 ${nearlyAll} ms\n`);
    expect(others.length).toBeGreaterThan(BATCHES / 3);
    slowestMs.set(what, quantile(others, 0.99));
  };

  test('and nothing else is the matter', async () => {
    note('nothing', (await restartedWhile(nothing)).calls);
    await untilReady(region);
  }, 500_000);

  test('while somebody holds the row of one device', async () => {
    let victim = '';
    const {calls} = await restartedWhile(async (known) => {
      victim = await someDevice(known, 1);
      const held = shardRows(
        region,
        1,
        `begin; select from device_state where device_key = (select device_key from device where device_id = '${victim}') for update;
         select pg_sleep(${FAULT_SECONDS - 15}); commit`,
        'postgres',
      );
      held.catch(() => undefined);
      return () => held;
    });
    note('a row is held', calls, (device) => device === victim);
    await untilReady(region);
  }, 500_000);

  test('while the row of one device cannot be written', async () => {
    let victim = '';
    const {calls} = await restartedWhile(async (known) => {
      victim = await someDevice(known, 1);
      await shardRows(
        region,
        1,
        `create function damaged() returns trigger language plpgsql as $$ begin raise exception 'invalid page' using errcode = 'XX001'; end $$;
         do $do$ begin execute format('create trigger damaged before update on device_state for each row when (old.device_key = %s) execute function damaged()',
           (select device_key from device where device_id = '${victim}')); end $do$`,
        'postgres',
      );
      return () => shardRows(region, 1, 'drop trigger damaged on device_state; drop function damaged()', 'postgres');
    }, THIRD_RUNG_SECONDS);
    note('a row is damaged', calls, (device) => device === victim);
    await untilReady(region);
  }, 1_200_000);

  test('while the shard that has the control schema is gone: devices of the other notice nothing', async () => {
    const operator = await operatorDeployment();
    const {calls} = await restartedWhile(async () => {
      // Nobody is to bring it back meanwhile.
      await operatorKubectl().ok(['scale', 'deployment', operator, '--replicas=0']);
      await region.kubectl.ok(['scale', 'statefulset', `${region.name}-pg-0`, '--replicas=0']);
      return async () => {
        await region.kubectl.ok(['scale', 'statefulset', `${region.name}-pg-0`, '--replicas=1']);
        await operatorKubectl().ok(['scale', 'deployment', operator, '--replicas=1']);
      };
    });
    const away = await devicesOf(0);
    note('a shard is gone', calls, (device) => away.has(device));
    await untilReady(region);
  }, 600_000);

  test('and the faults make the others next to no slower than the restarts do', async () => {
    // Once more: where pods start on a busy machine the slowest calls of two runs differ by more than a fault may add.
    note('nothing, again', (await restartedWhile(nothing)).calls);
    const usualMs = Math.max(slowestMs.get('nothing') ?? 0, slowestMs.get('nothing, again') ?? 0);
    const tooSlow = [...slowestMs].filter(([, tookMs]) => tookMs > usualMs * MOST_SLOWER);
    expect(tooSlow).toEqual([]);
  }, 500_000);
});
