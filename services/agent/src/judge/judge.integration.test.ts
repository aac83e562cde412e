/** The judge is worth what it catches: a true world passes, and each way of tampering with it is found. */
import {spawn} from 'node:child_process';
import {appendFileSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {deviceKeyOf, loadSlotHash, type SlotOf} from '@pisync/core/shards/slot';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from '@jest/globals';
import pg from 'pg';
import {contentHash} from '../client/content.ts';
import type {DeviceRecord} from '../client/wire.ts';
import {recordsDigest, valueDigest, type LedgerEntry} from '../ledger/entry.ts';
import {openBuckets} from './buckets.ts';
import type {FindingKind} from './compare.ts';
import {judge, waitUntilApplied, type Verdict} from './judge.ts';
import {openShard, type ShardReader} from './shard-reader.ts';
import {AT, copy, KEY, quarantine, RECORDS, SYNCED, TAMPERINGS, VICTIM} from '../testing/tamperings.ts';

const DEVICES = 8;
const SHARDS = 2;
const EPOCH = 2;
/** Epoch and number of the batches of each device. */
const BATCHES = SYNCED.flatMap(({epoch, batches}) => batches.map((batch) => [epoch, batch] as const));

let world: TestShards;
let urls: readonly string[];
let readers: ShardReader[];
let pools: pg.Pool[];
let slotOf: SlotOf;
let folder: string;
const ledgerFile = (): string => join(folder, 'ledger');

const deviceId = (index: number): string => `00000000-0000-5000-8000-${String(index).padStart(12, '0')}`;
const keyOf = (index: number): number => deviceKeyOf(slotOf(deviceId(index)), index);
const shardOf = (id: string): number => Math.floor((slotOf(id) * SHARDS) / 1024);
const poolOf = (id: string): pg.Pool => {
  const pool = pools[shardOf(id)];
  if (pool === undefined) throw new Error(`no shard for ${id}`);
  return pool;
};

const recordsOf = (index: number, batch: number): DeviceRecord[] =>
  Array.from({length: RECORDS}, (_, i) => ({
    s: (batch - 1) * RECORDS + i + 1,
    k: 'weather',
    t: 1_700_000_000_123 + i,
    d: {z: index, a: {y: 1.5, b: batch}},
  }));
const stateOf = (index: number, batch: number, epoch = EPOCH): {e: number; v: number; n: number} => ({
  e: epoch,
  v: batch,
  n: index,
});
const hashOf = (index: number, batch: number, epoch = EPOCH): string =>
  contentHash(stateOf(index, batch, epoch), recordsOf(index, batch));

const sent = (index: number, batch: number, epoch = EPOCH): LedgerEntry => {
  const records = recordsOf(index, batch);
  return {
    t: 'sent',
    device: deviceId(index),
    epoch: `e${epoch}`,
    batch,
    hash: hashOf(index, batch, epoch),
    records: RECORDS,
    first: records[0]?.s ?? null,
    last: records.at(-1)?.s ?? null,
    digest: recordsDigest(records),
    state: valueDigest(stateOf(index, batch, epoch)),
    at: 0,
  };
};
const answer = (
  index: number,
  batch: number,
  kind: 'acked' | 'unknown',
  {epoch = EPOCH, bad = 0, good = null}: {epoch?: number; bad?: number; good?: string | null} = {},
): LedgerEntry => ({
  t: 'answer',
  device: deviceId(index),
  epoch: `e${epoch}`,
  batch,
  hash: hashOf(index, batch, epoch),
  answer: kind,
  status: kind === 'acked' ? 200 : null,
  bad,
  good,
  at: 0,
  ms: 1,
});
const line = (entry: LedgerEntry): string => `${JSON.stringify(entry)}\n`;

/** Stores a batch as the worker does. */
const store = async (index: number, batch: number, epoch = EPOCH): Promise<void> => {
  await poolOf(deviceId(index)).query(
    `with r as (
       insert into receipt (device_key, epoch, batch_seq, content_hash, outcome, record_count, bad_count, mode, received_day, received_at)
       values ($1, $2, $3, decode($4, 'hex'), 'applied', $5, 0, 'delta', current_date, now()))
     insert into record (device_key, epoch, batch_seq, ordinal, seq, kind, device_time, data, received_day, received_at)
     select $1, $2, $3, place - 1, s, k, to_timestamp(t / 1000.0), d, current_date, now()
     from rows from (jsonb_to_recordset($6) as (s bigint, k text, t bigint, d jsonb)) with ordinality as r (s, k, t, d, place)`,
    [keyOf(index), epoch, batch, hashOf(index, batch, epoch), RECORDS, JSON.stringify(recordsOf(index, batch))],
  );
};

/** Stores a device that has synced all its batches. */
const storeDevice = async (index: number): Promise<void> => {
  const id = deviceId(index);
  await poolOf(id).query(
    `with e as (insert into device_epoch (device_key, epoch, applied_through, ahead) values ($1, 1, 1, '{[4,5)}'))
     insert into device (device_key, device_id, hardware_id, secret_hash) values ($1, $2, $2::uuid::text, '')`,
    [keyOf(index), id],
  );
  for (const [epoch, batch] of BATCHES) await store(index, batch, epoch);
  await setState(index, 6);
};

/** @param last the last batch that is applied: all from 6 on are. */
const setState = async (index: number, last: number): Promise<void> => {
  const more = last - 6;
  await poolOf(deviceId(index)).query(
    `with h as (
       insert into device_shadow (device_key, state) values ($1, $2) on conflict (device_key) do update set state = excluded.state)
     insert into device_state (device_key, device_id, epoch, applied_through, ahead, state_epoch, state_seq, records_total, syncs_total)
     values ($1, $7, $3, 3, int8multirange(int8range(6, $4, '[]')), $3, $4, $5, $6)
     on conflict (device_key) do update set ahead = excluded.ahead, state_seq = excluded.state_seq,
       records_total = excluded.records_total, syncs_total = excluded.syncs_total`,
    [
      keyOf(index),
      JSON.stringify(stateOf(index, last)),
      EPOCH,
      last,
      (BATCHES.length + more) * RECORDS,
      BATCHES.length + more,
      deviceId(index),
    ],
  );
};

const run = async (bucketBytes?: number): Promise<Verdict> => {
  const ledgers = await openBuckets([ledgerFile()], bucketBytes);
  try {
    return await judge(ledgers, readers);
  } finally {
    await ledgers.close();
  }
};

beforeAll(async () => {
  world = await createTestShards({shards: SHARDS});
  slotOf = await loadSlotHash();
  urls = Array.from({length: SHARDS}, (_, id) => {
    const {host, port, database, user, password} = world.target(id);
    return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
  });
  readers = urls.map(openShard);
  pools = urls.map((connectionString) => new pg.Pool({connectionString, max: DEVICES}));
  folder = mkdtempSync(join(tmpdir(), 'pisync-judge-test-'));
});
afterAll(async () => {
  await Promise.all([...readers.map((reader) => reader.close()), ...pools.map((pool) => pool.end())]);
  await world.close();
  rmSync(folder, {recursive: true});
});

beforeEach(async () => {
  const tables = ['device', 'device_state', 'device_epoch', 'device_shadow', 'receipt', 'record', 'quarantine'];
  // A few rows are deleted sooner than tables with partitions are truncated.
  const empty = tables.map((table) => `delete from ${table};`).join('');
  await Promise.all(pools.map((pool) => pool.query(empty)));
  const devices = Array.from({length: DEVICES}, (_, index) => index);
  await Promise.all(devices.map(storeDevice));
  const lines = devices.flatMap((index) =>
    BATCHES.map(([epoch, batch]) => line(sent(index, batch, epoch)) + line(answer(index, batch, 'acked', {epoch}))),
  );
  writeFileSync(ledgerFile(), lines.join(''));
});

describe('a world in which every promise was kept', () => {
  test.each([undefined, 1000])('passes (ledger read in parts of %p bytes)', async (bucketBytes) => {
    const verdict = await run(bucketBytes);
    expect(verdict.findings).toEqual([]);
    expect(verdict).toMatchObject({
      ok: true,
      devices: DEVICES,
      batches: DEVICES * BATCHES.length,
      acked: DEVICES * BATCHES.length,
      applied: DEVICES * BATCHES.length,
      records: DEVICES * BATCHES.length * RECORDS,
      lost: 0,
      duplicated: 0,
    });
  });

  test('lives on both shards', () => {
    expect(new Set(Array.from({length: DEVICES}, (_, index) => shardOf(deviceId(index)))).size).toBe(SHARDS);
  });

  test('may hold a batch whose answer was lost, or may not', async () => {
    appendFileSync(ledgerFile(), line(sent(3, 7)) + line(answer(3, 7, 'unknown')));
    expect(await run()).toMatchObject({ok: true, unknownApplied: 0});
    await store(3, 7);
    await setState(3, 7);
    expect(await run()).toMatchObject({ok: true, unknownApplied: 1});
  });

  test('may have a ledger whose writer was killed in the middle of a line', async () => {
    appendFileSync(ledgerFile(), line(sent(3, 4)).slice(0, 40));
    expect(await run()).toMatchObject({ok: true});
  });

  test('ignores rows of a slot that moved away', async () => {
    const [here, there] = [poolOf(VICTIM), pools[1 - shardOf(VICTIM)]];
    await there?.query(
      `insert into device (device_key, device_id, hardware_id, secret_hash) values ($1, $2, 'x', '')`,
      [keyOf(3), VICTIM],
    );
    expect(await run()).toMatchObject({ok: true});
    await here.query("update slot_owner set state = 'moved_out' where slot = $1", [slotOf(VICTIM)]);
    try {
      expect((await run()).lost).toBeGreaterThan(0);
    } finally {
      await here.query("update slot_owner set state = 'owned' where slot = $1", [slotOf(VICTIM)]);
    }
  });
});

describe('a world that was tampered with', () => {
  test.each(TAMPERINGS)('%s: %s', async (_what, kind, sql) => {
    const touched = await poolOf(VICTIM).query(sql);
    expect(touched.rowCount).toBeGreaterThan(0);
    const verdict = await run();
    expect(verdict.ok).toBe(false);
    expect(verdict[kind]).toBeGreaterThan(0);
    expect(new Set(verdict.findings.map(({device}) => device))).toEqual(new Set([VICTIM]));
  });

  test('a batch without a 2xx that is stored in part is found', async () => {
    appendFileSync(ledgerFile(), line(sent(3, 7)) + line(answer(3, 7, 'unknown')));
    await store(3, 7);
    await setState(3, 7);
    await poolOf(VICTIM).query(
      `with d as (delete from record where device_key = $1 and batch_seq = 7 and ordinal = 1),
            r as (update receipt set record_count = 3 where device_key = $1 and batch_seq = 7)
       update device_state set records_total = records_total - 1 where device_key = $1`,
      [keyOf(3)],
    );
    expect(await run()).toMatchObject({ok: false, counterWrong: 1, lost: 1});
  });

  test('a number that was acked for two contents is found, whichever of them is applied and whichever was acked last', async () => {
    for (const [first, second] of [
      [2, 1],
      [1, 2],
    ] as const) {
      // Device 3 sends what belongs to its batch 2 under number 4, and something else.
      const of = (batch: number): {sent: LedgerEntry; acked: LedgerEntry} => ({
        sent: {...sent(3, batch), batch: 4},
        acked: {...answer(3, batch, 'acked'), batch: 4},
      });
      appendFileSync(
        ledgerFile(),
        line(of(first).sent) + line(of(first).acked) + line(of(second).sent) + line(of(second).acked),
      );
      await poolOf(VICTIM).query(copy('receipt', {batch_seq: 4}, 'on conflict do nothing'));
      const verdict = await run();
      const other = hashOf(3, 1);
      expect(verdict.findings.map(({kind, detail}) => `${kind} ${detail}`)).toContainEqual(
        expect.stringContaining(`lost batch e2/4: acked with hash ${other}`),
      );
      const detail = `'{"contentHash": "${other}"}'`;
      await poolOf(VICTIM).query(
        quarantine(`receipt where device_key = ${KEY} and batch_seq = 4`, {kind: 'conflict', detail}),
      );
      expect((await run()).quarantined).toBe(1);
      await poolOf(VICTIM).query('delete from quarantine');
    }
  });

  test('a ledger without any acked batch proves nothing', async () => {
    writeFileSync(ledgerFile(), '');
    expect(await run()).toMatchObject({ok: false, devices: 0, findings: []});
    writeFileSync(ledgerFile(), line(sent(3, 1)) + line(answer(3, 1, 'unknown')));
    expect((await run()).ok).toBe(false);
  });

  test('a device owned by two shards is found', async () => {
    const other = pools[1 - shardOf(VICTIM)];
    await other?.query(
      `insert into device (device_key, device_id, hardware_id, secret_hash) values ($1, $2, 'x', '')`,
      [keyOf(3), VICTIM],
    );
    await other?.query("update slot_owner set state = 'owned' where slot = $1", [slotOf(VICTIM)]);
    try {
      expect((await run()).duplicated).toBeGreaterThan(0);
    } finally {
      await other?.query("update slot_owner set state = 'none' where slot = $1", [slotOf(VICTIM)]);
    }
  });
});

describe('the program', () => {
  const judgeWith = async (shardsFile: string): Promise<{readonly code: number | null; readonly output: string}> => {
    const main = join(import.meta.dirname, '..', 'fleet', 'main.ts');
    const argv = [main, 'judge', '--ledger', ledgerFile(), '--shards-file', shardsFile, '--wait', '0'];
    const child = spawn(process.execPath, argv, {stdio: ['ignore', 'pipe', 'pipe']});
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const code = await new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject));
    return {code, output};
  };

  test('reads the shards from a file, prints its verdict and ends with 0, or with 1 after a finding', async () => {
    const shardsFile = join(folder, 'shards');
    writeFileSync(shardsFile, urls.join('\n'), {mode: 0o600});
    expect(await judgeWith(shardsFile)).toMatchObject({code: 0, output: expect.stringContaining('"ok":true')});
    await poolOf(VICTIM).query(`delete from receipt ${AT}`);
    expect(await judgeWith(shardsFile)).toMatchObject({code: 1, output: expect.stringContaining('"lost":1')});
  });

  test('says which file is missing', async () => {
    expect(await judgeWith('/nowhere/shards')).toMatchObject({
      code: 1,
      output: expect.stringContaining('/nowhere/shards'),
    });
  });
});

describe('a batch with bad records', () => {
  const GOOD = recordsDigest(recordsOf(3, 2).filter(({s}) => s !== 6));
  /** The second record of the victim's second batch was refused, and the device was told so. */
  beforeEach(async () => {
    appendFileSync(ledgerFile(), line(answer(3, 2, 'acked', {bad: 1, good: GOOD})));
    await poolOf(VICTIM).query(
      `with r as (update receipt set record_count = 3, bad_count = 1 ${AT}),
            s as (update device_state set records_total = records_total - 1 where device_key = ${KEY}),
            d as (delete from record ${AT} and seq = 6 returning device_key, epoch, batch_seq)
       ${quarantine('d', {kind: 'record', detail: `'{"pointer": "/records/1"}'`})}`,
    );
  });

  test('passes when the good ones are stored and the bad one is in quarantine', async () => {
    expect((await run()).findings).toEqual([]);
  });

  test.each<readonly [string, FindingKind, string]>([
    ['the bad one is nowhere', 'lost', `delete from quarantine where device_key = ${KEY}`],
    ['only the name of the bad one is kept', 'lost', `update quarantine set payload = null where device_key = ${KEY}`],
    ['a good one is gone', 'lost', `delete from record ${AT} and seq = 7`],
    ['a good one is altered', 'altered', `update record set data = '{}' ${AT} and seq = 7`],
    ['the bad one is stored in place of a good one', 'altered', `update record set seq = 6 ${AT} and seq = 7`],
  ])('is found when %s: %s', async (_what, kind, sql) => {
    expect((await poolOf(VICTIM).query(sql)).rowCount).toBeGreaterThan(0);
    const verdict = await run();
    expect(verdict.ok).toBe(false);
    expect(verdict[kind]).toBeGreaterThan(0);
  });
});

describe('waiting for the queues', () => {
  test('ends when the last acked batch is applied, and gives up at the deadline', async () => {
    await poolOf(VICTIM).query(`delete from receipt ${AT}`);
    const ledgers = await openBuckets([ledgerFile()]);
    let nowMs = 0;
    const seen: (number | string)[] = [];
    const options = {
      deadlineMs: 3,
      pollMs: 1,
      nowMs: () => nowMs,
      progress: (missing: number | string): void => {
        seen.push(missing);
      },
    };
    const sleep = (): Promise<void> => {
      nowMs += 1;
      return Promise.resolve();
    };
    expect(await waitUntilApplied(ledgers, readers, {...options, sleep})).toBe(1);
    expect(seen).toEqual([1, 1, 1, 1]);
    nowMs = 0;
    const repair = async (): Promise<void> => {
      await poolOf(VICTIM).query(`delete from record ${AT}`);
      await store(3, 2);
    };
    expect(await waitUntilApplied(ledgers, readers, {...options, sleep: repair})).toBe(0);
    await ledgers.close();
  });
});
