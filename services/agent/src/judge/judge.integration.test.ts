/** The judge is worth what it catches: a true world passes, and each way of tampering with it is found. */
import {spawn} from 'node:child_process';
import {appendFileSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {loadSlotHash, type SlotOf} from '@pisync/core/shards/slot';
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

const DEVICES = 8;
const BATCHES = 3;
const RECORDS = 4;
const SHARDS = 2;
/** The device and batch that are tampered with. */
const VICTIM = '00000000-0000-5000-8000-000000000003';

let world: TestShards;
let urls: readonly string[];
let readers: ShardReader[];
let pools: pg.Pool[];
let slotOf: SlotOf;
let folder: string;
const ledgerFile = (): string => join(folder, 'ledger');

const deviceId = (index: number): string => `00000000-0000-5000-8000-${String(index).padStart(12, '0')}`;
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
const stateOf = (index: number, batch: number): {v: number; n: number} => ({v: batch, n: index});

const sent = (index: number, batch: number): LedgerEntry => {
  const records = recordsOf(index, batch);
  return {
    t: 'sent',
    device: deviceId(index),
    epoch: 'e1',
    batch,
    hash: contentHash(stateOf(index, batch), records),
    records: RECORDS,
    first: records[0]?.s ?? null,
    last: records.at(-1)?.s ?? null,
    digest: recordsDigest(records),
    state: valueDigest(stateOf(index, batch)),
    at: 0,
  };
};
const answer = (index: number, batch: number, kind: 'acked' | 'unknown'): LedgerEntry => ({
  t: 'answer',
  device: deviceId(index),
  epoch: 'e1',
  batch,
  hash: contentHash(stateOf(index, batch), recordsOf(index, batch)),
  answer: kind,
  status: kind === 'acked' ? 200 : null,
  bad: 0,
  at: 0,
  ms: 1,
});
const line = (entry: LedgerEntry): string => `${JSON.stringify(entry)}\n`;

/** Stores a batch as the worker does. */
const store = async (index: number, batch: number): Promise<void> => {
  const id = deviceId(index);
  const records = recordsOf(index, batch);
  const pool = poolOf(id);
  await pool.query(
    `insert into receipt (device_key, epoch, batch_seq, slot, content_hash, outcome, record_count, bad_count, mode, received_day, received_at)
     values ($1, 1, $2, $3, decode($4, 'hex'), 'applied', $5, 0, 'delta', current_date, now())`,
    [index, batch, slotOf(id), contentHash(stateOf(index, batch), records), RECORDS],
  );
  for (const {s, k, t, d} of records) {
    await pool.query(
      `insert into record (device_key, slot, epoch, batch_seq, seq, kind, device_time, data, received_day, received_at)
       values ($1, $2, 1, $3, $4, $5, $6, $7, current_date, now())`,
      [index, slotOf(id), batch, s, k, new Date(t), JSON.stringify(d)],
    );
  }
};

const setState = async (index: number, batch: number): Promise<void> => {
  const id = deviceId(index);
  await poolOf(id).query(
    `insert into device_state (device_key, slot, epoch, applied_through, state_seq, state, records_total, syncs_total)
     values ($1, $2, 1, $3, $3, $4, $5, $3)`,
    [index, slotOf(id), batch, JSON.stringify(stateOf(index, batch)), batch * RECORDS],
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
  pools = urls.map((connectionString) => new pg.Pool({connectionString, max: 2}));
  folder = mkdtempSync(join(tmpdir(), 'pisync-judge-test-'));
});
afterAll(async () => {
  await Promise.all([...readers.map((reader) => reader.close()), ...pools.map((pool) => pool.end())]);
  await world.close();
  rmSync(folder, {recursive: true});
});

beforeEach(async () => {
  for (const pool of pools) await pool.query('truncate device, device_state, receipt, record, quarantine');
  writeFileSync(ledgerFile(), '');
  for (let index = 0; index < DEVICES; index++) {
    const id = deviceId(index);
    await poolOf(id).query(
      `insert into device (device_key, device_id, slot, hardware_id, secret_hash) values ($1, $2, $3, $2::uuid::text, '')`,
      [index, id, slotOf(id)],
    );
    for (let batch = 1; batch <= BATCHES; batch++) {
      appendFileSync(ledgerFile(), line(sent(index, batch)) + line(answer(index, batch, 'acked')));
      await store(index, batch);
    }
    await setState(index, BATCHES);
  }
});

describe('a world in which every promise was kept', () => {
  test.each([undefined, 1000])('passes (ledger read in parts of %p bytes)', async (bucketBytes) => {
    const verdict = await run(bucketBytes);
    expect(verdict.findings).toEqual([]);
    expect(verdict).toMatchObject({
      ok: true,
      devices: DEVICES,
      batches: DEVICES * BATCHES,
      acked: DEVICES * BATCHES,
      applied: DEVICES * BATCHES,
      records: DEVICES * BATCHES * RECORDS,
      lost: 0,
      duplicated: 0,
    });
  });

  test('lives on both shards', () => {
    expect(new Set(Array.from({length: DEVICES}, (_, index) => shardOf(deviceId(index)))).size).toBe(SHARDS);
  });

  test('may hold a batch whose answer was lost, or may not', async () => {
    appendFileSync(ledgerFile(), line(sent(3, 4)) + line(answer(3, 4, 'unknown')));
    expect(await run()).toMatchObject({ok: true, unknownApplied: 0});
    await store(3, 4);
    await poolOf(VICTIM).query('delete from device_state where device_key = 3');
    await setState(3, 4);
    expect(await run()).toMatchObject({ok: true, unknownApplied: 1});
  });

  test('may have a ledger whose writer was killed in the middle of a line', async () => {
    appendFileSync(ledgerFile(), line(sent(3, 4)).slice(0, 40));
    expect(await run()).toMatchObject({ok: true});
  });

  test('ignores rows of a slot that moved away', async () => {
    const [here, there] = [poolOf(VICTIM), pools[1 - shardOf(VICTIM)]];
    await there?.query(
      `insert into device (device_key, device_id, slot, hardware_id, secret_hash) values (3, $1, $2, 'x', '')`,
      [VICTIM, slotOf(VICTIM)],
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

const AT = 'where device_key = 3 and epoch = 1 and batch_seq = 2';
const COLUMNS = 'device_key, slot, epoch, batch_seq, seq, kind, device_time, data, received_day, received_at';

const TAMPERINGS: readonly (readonly [string, FindingKind, string])[] = [
  ['a receipt is gone', 'lost', `delete from receipt ${AT}`],
  ['a batch is gone wholly', 'lost', `with r as (delete from receipt ${AT}) delete from record ${AT}`],
  ['a record is gone', 'lost', `delete from record ${AT} and seq = 6`],
  ['a device is gone', 'lost', 'delete from device where device_key = 3'],
  [
    'a record is there twice',
    'duplicated',
    `insert into record (${COLUMNS}) select ${COLUMNS} from record ${AT} and seq = 6`,
  ],
  ['a receipt has another hash', 'altered', `update receipt set content_hash = '\\xab' ${AT}`],
  ['a record has another value', 'altered', `update record set data = '{"z": 4}' ${AT} and seq = 6`],
  [
    'a record has another time',
    'altered',
    `update record set device_time = device_time + interval '1 ms' ${AT} and seq = 6`,
  ],
  ['a record has another number', 'altered', `update record set seq = 600 ${AT} and seq = 6`],
  [
    'a receipt was never sent',
    'foreign',
    `insert into receipt (device_key, epoch, batch_seq, slot, content_hash, outcome, record_count, bad_count, mode, received_day, received_at)
     select device_key, epoch, 99, slot, content_hash, outcome, 0, 0, mode, received_day, received_at from receipt ${AT}`,
  ],
  ['a receipt is of another epoch', 'foreign', `update receipt set epoch = 2 ${AT}`],
  [
    'records have no receipt',
    'foreign',
    `insert into record (${COLUMNS}) select device_key, slot, epoch, 99, seq, kind, device_time, data, received_day, received_at from record ${AT}`,
  ],
  ['the state went back', 'stateWrong', 'update device_state set state_seq = 2 where device_key = 3'],
  ['the state is of an older epoch', 'stateWrong', 'update device_state set epoch = 0 where device_key = 3'],
  ['the state has another content', 'stateWrong', `update device_state set state = '{"v": 2}' where device_key = 3`],
  ['the state is gone', 'stateWrong', 'delete from device_state where device_key = 3'],
  ['applied_through says too much', 'prefixWrong', 'update device_state set applied_through = 4 where device_key = 3'],
  [
    'applied_through says too little',
    'prefixWrong',
    'update device_state set applied_through = 2 where device_key = 3',
  ],
  [
    'records were counted twice',
    'counterWrong',
    'update device_state set records_total = records_total + 4 where device_key = 3',
  ],
  ['a receipt counts other records', 'counterWrong', `update receipt set record_count = 5 ${AT}`],
  ['an acked batch was rejected', 'quarantined', `update receipt set outcome = 'rejected' ${AT}`],
  [
    'an acked batch is in quarantine',
    'quarantined',
    `with gone as (delete from receipt ${AT} returning device_key, slot, epoch, batch_seq)
     insert into quarantine (device_key, slot, epoch, batch_seq, kind, reason) select *, 'batch', 'poison' from gone`,
  ],
];

describe('a world that was tampered with', () => {
  test.each(TAMPERINGS)('%s: %s', async (_what, kind, sql) => {
    const touched = await poolOf(VICTIM).query(sql);
    expect(touched.rowCount).toBeGreaterThan(0);
    const verdict = await run();
    expect(verdict.ok).toBe(false);
    expect(verdict[kind]).toBeGreaterThan(0);
    expect(new Set(verdict.findings.map(({device}) => device))).toEqual(new Set([VICTIM]));
  });

  test('a device owned by two shards is found', async () => {
    const other = pools[1 - shardOf(VICTIM)];
    await other?.query(
      `insert into device (device_key, device_id, slot, hardware_id, secret_hash) values (3, $1, $2, 'x', '')`,
      [VICTIM, slotOf(VICTIM)],
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
      await poolOf(VICTIM).query('delete from record where device_key = 3 and batch_seq = 2');
      await store(3, 2);
    };
    expect(await waitUntilApplied(ledgers, readers, {...options, sleep: repair})).toBe(0);
    await ledgers.close();
  });
});
