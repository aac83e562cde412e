/**
 * One device that was taken over, and does what it can: what it has stored, and what it costs, stays within its quota. `make faults` lets it go on for ten minutes
 * (PISYNC_TEST_HOSTILE_MINUTES).
 */
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import {goOn, type Haul} from './one-device.ts';
import {createRandom} from './random.ts';
import {type HostileDevice, type HostileRegion, startHostileRegion} from './region.ts';
import {STORING, WORKING} from './tricks.ts';
import {watch} from './watch.ts';

const SEED = Number(process.env['PISYNC_TEST_HOSTILE_SEED'] ?? '1');
const MINUTES = Number(process.env['PISYNC_TEST_HOSTILE_MINUTES'] ?? '0.2');
const MIB = 1024 * 1024;
/** Pages of tables that are begun, and old versions of rows that wait for a vacuum. */
const SLACK_BYTES = 2 * MIB;

const print = (text: string): void => void process.stderr.write(text);

/** Of all tables with their indexes. */
const storedBytes = async ({shards}: HostileRegion): Promise<number> => {
  const {rows} = await shards.shards.pool(0, 'job').query<{bytes: number}>(
    `select sum(pg_total_relation_size(c.oid))::float8 as bytes from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('public', 'control')`,
  );
  return rows[0]?.bytes ?? 0;
};

interface Rows {
  readonly receipts: number;
  readonly records: number;
  readonly quarantined: number;
  readonly refusals: number;
  readonly epochs: number;
}

const rowsOf = async ({shards}: HostileRegion, {deviceKey}: HostileDevice): Promise<Rows> => {
  const count = (table: string, where = ''): string =>
    `(select count(*) from ${table} where device_key = $1 ${where})::int`;
  const {rows} = await shards.shards.pool(0, 'job').query<Rows>(
    `select ${count('receipt')} as receipts, ${count('record')} as records, ${count('quarantine')} as quarantined,
            ${count('device_refusal')} as refusals, ${count('device_epoch')} as epochs`,
    [deviceKey],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a count is a row');
  return row;
};

/** Waits until everything is in the shard that was taken. */
const applied = (region: HostileRegion, device: HostileDevice, {taken}: Pick<Haul, 'taken'>): Promise<Rows> =>
  until(
    `${taken.size} batches to be applied`,
    () => rowsOf(region, device),
    ({receipts}) => receipts >= taken.size,
  );

describe('whatever a device sends, no more is stored than its quota says:', () => {
  const QUOTA_BYTES = 12 * MIB;
  /** Those that take little would take long. */
  const MOST_CALLS = 400;
  let region: HostileRegion;
  beforeAll(async () => {
    region = await startHostileRegion({
      // So that it is the bytes which are used up.
      PISYNC_DEVICE_BURST: '10000',
      PISYNC_DEVICE_RATE: '10000',
      PISYNC_DEVICE_BURST_BYTES: String(QUOTA_BYTES),
      PISYNC_DEVICE_BYTES_A_DAY: String(MIB),
    });
  }, 120_000);
  afterAll(() => region.close(), 60_000);

  test.each(STORING)(
    '$name',
    async (trick) => {
      const [device] = await region.enrolDevices(1);
      if (device === undefined) throw new Error('a device was enrolled');
      const before = await storedBytes(region);
      const haul = await goOn({
        port: region.services['device-api'].port,
        device,
        random: createRandom(SEED),
        tricks: [trick],
        goesOn: ({isFull, calls}) => !isFull && calls < MOST_CALLS,
        pauseMs: 0,
      });
      const rows = await applied(region, device, haul);
      const bytes = (await storedBytes(region)) - before;
      print(
        `  ${trick.name.padEnd(45)} ${(bytes / haul.chargedBytes).toFixed(2)} of ${haul.chargedBytes} charged; ${JSON.stringify({...rows, ...haul.statuses})}\n`,
      );
      expect(Object.keys(haul.statuses).filter((status) => Number(status) >= 500)).toEqual([]);
      expect(haul.taken.size).toBeGreaterThan(0);
      expect(haul.chargedBytes).toBeLessThan(QUOTA_BYTES * 1.01);
      expect(bytes).toBeLessThan(haul.chargedBytes * 1.25 + SLACK_BYTES / 8);
    },
    120_000,
  );
});

describe('a device that does all it can for minutes', () => {
  const [burstBytes, bytesADay] = MINUTES >= 10 ? [64 * MIB, 256 * MIB] : [12 * MIB, 256 * MIB];
  let region: HostileRegion;
  beforeAll(async () => {
    region = await startHostileRegion({
      PISYNC_DEVICE_BURST_BYTES: String(burstBytes),
      PISYNC_DEVICE_BYTES_A_DAY: String(bytesADay),
    });
  }, 120_000);
  afterAll(() => region.close(), 60_000);

  test(
    'takes no more than its quotas say',
    async () => {
      const [device] = await region.enrolDevices(1);
      if (device === undefined) throw new Error('a device was enrolled');
      const random = createRandom(SEED);
      const before = await storedBytes(region);
      const {'device-api': deviceApi, worker} = region.services;
      const watches = [await watch(deviceApi), await watch(worker)];
      const beganMs = performance.now();
      const seconds = (): number => (performance.now() - beganMs) / 1000;
      const hauls = await Promise.all(
        Array.from({length: 4}, () =>
          goOn({
            port: deviceApi.port,
            device,
            random,
            tricks: [...STORING, ...WORKING],
            goesOn: () => seconds() < MINUTES * 60,
            pauseMs: 50,
          }),
        ),
      );
      const tookS = seconds();
      const taken = new Set(hauls.flatMap((haul) => [...haul.taken]));
      const rows = await applied(region, device, {taken});
      const health = await Promise.all(watches.map((one) => one.stop()));
      const bytes = (await storedBytes(region)) - before;
      const cpuShare = health.reduce((sum, {cpuSeconds}) => sum + cpuSeconds, 0) / tookS;
      const statuses = hauls.map((haul) => haul.statuses);
      print(
        `  ${MINUTES} min: ${(bytes / MIB).toFixed(1)} MiB stored, ${cpuShare.toFixed(3)} of a core, ${JSON.stringify({rows, statuses, health})}\n`,
      );

      expect(statuses.flatMap((one) => Object.keys(one)).filter((status) => Number(status) >= 500)).toEqual([]);
      const quotaBytes = burstBytes + (bytesADay * tookS) / 86_400;
      expect(bytes).toBeLessThan(quotaBytes * 1.25 + SLACK_BYTES);
      const quotaCalls = 30 + 2 * tookS;
      expect(rows.receipts).toBeLessThanOrEqual(quotaCalls);
      expect(rows.records + rows.quarantined).toBeLessThanOrEqual(quotaBytes / 256);
      expect(rows.refusals).toBeLessThanOrEqual(20);
      expect(cpuShare).toBeLessThan(0.4);
      expect(Math.max(...health.map(({peakBytes}) => peakBytes))).toBeLessThan((512 * MIB * 2) / 3);
    },
    MINUTES * 60_000 + 120_000,
  );
});
