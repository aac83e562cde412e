import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {inTransaction} from '../shards/in-transaction.ts';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import type {AuditEntry} from './audit-entry.ts';
import {appendToChain, clearOutbox, readOutbox} from './chain.ts';
import {listChained, listPending} from './audit-list.ts';
import {writeAudit} from './write-audit.ts';

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 2});
}, 60_000);
afterAll(() => bench.close());

const KEY = 'a key';
const entry = (id: string): AuditEntry => ({
  actor: {name: 'ann', tokenId: null, role: 'admin', requestId: 'request-1', address: '192.0.2.1'},
  action: 'device.request-sync',
  object: {kind: 'device', id},
  scope: [1],
  after: {syncType: 'full', name: 'ö "quoted" \\ and 1.0'},
});

const job = (shard: number) => bench.shards.pool(shard, 'job');

const outboxOf = async (shard: number) => {
  const client = await job(shard).connect();
  try {
    return await readOutbox(client, 1000);
  } finally {
    client.release();
  }
};

const append = async (shard: number, fence = () => Promise.resolve()): Promise<number> => {
  const rows = await outboxOf(shard);
  const client = await job(0).connect();
  try {
    return await appendToChain(client, {fence, key: KEY, shard, rows});
  } finally {
    client.release(true);
  }
};

const clear = async (shard: number): Promise<void> => {
  const rows = await outboxOf(shard);
  const client = await job(shard).connect();
  await clearOutbox(client, rows);
  client.release();
};

const chain = async () =>
  (
    await job(0).query<{seq: number; shard: number; counter: number}>(
      'select seq, shard, counter from control.audit order by seq',
    )
  ).rows;

test('an entry is there with what it tells or not at all, and none is left out of the count', async () => {
  await inTransaction(job(1), (client) => writeAudit(client, entry('a')));
  const undone = inTransaction(job(1), async (client) => {
    await writeAudit(client, entry('b'));
    throw new Error('something else went wrong');
  });
  await expect(undone).rejects.toThrow('something else');
  // At the same time, so that they wait for each other.
  await Promise.all(['c', 'd', 'e'].map((id) => writeAudit(bench.shards.pool(1, 'ingest'), entry(id))));
  const rows = await outboxOf(1);
  expect(rows.map(({counter}) => counter)).toEqual([1, 2, 3, 4]);
  expect(rows.map(({objectId}) => objectId).sort()).toEqual(['a', 'c', 'd', 'e']);
});

test('what shards wrote is chained once, in the order of each, and is then the same', async () => {
  await writeAudit(job(0), entry('f'));
  const before = [...(await outboxOf(1)), ...(await outboxOf(0))];
  expect([await append(1), await append(0)]).toEqual([4, 1]);
  // Somebody ended before the shards were told.
  expect([await append(1), await append(0)]).toEqual([0, 0]);
  const query = {scope: undefined};
  expect((await listPending(job(1), 1, query, undefined, 10)).rows).toHaveLength(4);
  for (const shard of [0, 1]) await clear(shard);
  expect((await listPending(job(1), 1, query, undefined, 10)).rows).toEqual([]);
  expect(await chain()).toEqual([
    ...[1, 2, 3, 4].map((counter) => ({seq: counter, shard: 1, counter})),
    {seq: 5, shard: 0, counter: 1},
  ]);
  const listed = (await listChained(job(0), query, undefined, 10)).rows;
  const plain = listed.map(({seq: _, fromShard: __, mac: ___, ...row}) => row);
  const byId = (a: {readonly id: string}, b: {readonly id: string}): number => (a.id < b.id ? -1 : 1);
  expect(plain.toSorted(byId)).toEqual(before.toSorted(byId));
});

test('who does not act any more appends nothing', async () => {
  await writeAudit(job(0), entry('g'));
  await expect(append(0, () => Promise.reject(new Error('another one acts')))).rejects.toThrow('another one acts');
  expect(await chain()).toHaveLength(5);
});

test('two that append at once do not both go on from the same row', async () => {
  await writeAudit(job(1), entry('h'));
  const outcomes = await Promise.allSettled([append(0), append(1)]);
  const failed = outcomes.filter(({status}) => status === 'rejected').length;
  if (failed > 0) for (const shard of [0, 1]) await append(shard);
  const seqs = (await chain()).map(({seq}) => seq);
  expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7]);
  const head = await job(0).query<{seq: number}>('select seq from control.audit_head');
  expect(head.rows).toEqual([{seq: 7}]);
});

test('a page looks at a bounded number of entries, and says how far', async () => {
  const pool = job(1);
  await pool.query(`insert into audit_outbox (counter, at, actor, role, action, object_kind, object_id)
    select 100 + n, now() - make_interval(secs => n), 'x', 'admin', 'session.begin', 'session', n::text from generate_series(1, 6000) n`);
  const query = {scope: undefined, objectId: '5900'};
  const first = await listPending(pool, 1, query, undefined, 10);
  expect(first.rows).toEqual([]);
  expect(first.end).toBeDefined();
  const second = await listPending(pool, 1, query, first.end, 10);
  expect(second.rows.map(({objectId}) => objectId)).toEqual(['5900']);
  expect(second.end).toBeUndefined();
  await pool.query('delete from audit_outbox where counter > 100');
});
