/** The chain of the audit under keepers that are killed. Processes of their own, because what is lost with one has to be lost. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {type AuditEntry} from '@pisync/core/audit/audit-entry';
import {NO_MAC} from '@pisync/core/audit/audit-row';
import {readChain, readOutboxState} from '@pisync/core/audit/read-chain';
import {checkEnd, checkOutbox, checkRows} from '@pisync/core/audit/verify-chain';
import {writeAudit} from '@pisync/core/audit/write-audit';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {freePort, type ServiceProcess, startProcess} from '@pisync/core/testing/service-process';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {afterAll, afterEach, beforeAll, expect, jest, test} from '@jest/globals';

// Servers that others also use answer slowly at times.
jest.setTimeout(180_000);

const SHARDS = [0, 1] as const;

let bench: TestShards;
let folder: string;
const running = new Set<ServiceProcess>();

beforeAll(async () => {
  bench = await createTestShards({shards: SHARDS.length});
  folder = await mkdtemp(join(tmpdir(), 'pisync-keeper-'));
  await writeFile(join(folder, 'topology.json'), JSON.stringify(bench.topology));
});
afterEach(async () => {
  for (const keeper of running) await keeper.stop();
  running.clear();
});
afterAll(async () => {
  await bench.close();
  await rm(folder, {recursive: true});
});

const start = async (): Promise<ServiceProcess> => {
  const keeper = startProcess(new URL('./main.ts', import.meta.url), {
    PISYNC_TOPOLOGY_FILE: join(folder, 'topology.json'),
    PISYNC_SECRETS_DIR: bench.secretsDir,
    PISYNC_OPS_PORT: String(await freePort()),
  });
  running.add(keeper);
  return keeper;
};

const kill = async (keeper: ServiceProcess): Promise<void> => {
  running.delete(keeper);
  keeper.child.kill('SIGKILL');
  await until('the keeper to be gone', () => keeper.child.signalCode === 'SIGKILL');
};

const entry = (id: string): AuditEntry => ({
  actor: {name: 'ann', tokenId: null, role: 'admin', requestId: undefined, address: undefined},
  action: 'device.request-sync',
  object: {kind: 'device', id},
  scope: undefined,
});

let written = 0;
const write = async (shard: number, count: number): Promise<void> => {
  for (let index = 0; index < count; index++) {
    await writeAudit(bench.shards.pool(shard, 'ingest'), entry(`device ${++written}`));
  }
};

const pendingOf = async (shard: number): Promise<number> =>
  (await readOutboxState(bench.shards.pool(shard, 'ingest'), shard)).pending;

const chainedIds = async (): Promise<readonly string[]> =>
  (
    await bench.shards.control('job').query<{id: string}>('select object_id as id from control.audit order by seq')
  ).rows.map(({id}) => id);

/** Everything that was written, once each, and as it was signed. */
const expectWhole = async (): Promise<void> => {
  const ids = await chainedIds();
  const expected = Array.from({length: written}, (_, index) => `device ${index + 1}`);
  expect([...ids].sort()).toEqual(expected.sort());
  const states = await Promise.all(SHARDS.map((shard) => readOutboxState(bench.shards.pool(shard, 'job'), shard)));
  const {head, rows} = await readChain(bench.shards.control('job'), 0, 100_000);
  const key = await openSecrets(bench.secretsDir).read('audit', 'key');
  const {place, findings} = checkRows(key, {seq: 0, mac: NO_MAC, counters: new Map()}, rows);
  expect(findings).toEqual([]);
  expect(checkEnd(place, head)).toEqual([]);
  expect(states.flatMap((state) => checkOutbox(place, state))).toEqual([]);
};

const becomesWhole = async (): Promise<void> => {
  for (const shard of SHARDS) {
    await until(
      `shard ${shard} to have nothing left`,
      () => pendingOf(shard),
      (pending) => pending === 0,
    );
  }
  await expectWhole();
};

/** Until a statement waits for what a test holds. */
const isHeldUp = (shard: number, statement: string): Promise<boolean> =>
  until(`"${statement}" to wait`, async () => {
    const found = await bench.shards
      .pool(shard, 'job')
      .query(
        `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query ilike $1`,
        [`%${statement}%`],
      );
    return (found.rowCount ?? 0) > 0;
  });

/** The server does not look for its client while a statement waits, and would go on with it. */
const loseHeldUp = async (shard: number, statement: string): Promise<void> => {
  await bench.shards
    .pool(shard, 'job')
    .query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query ilike $1`,
      [`%${statement}%`],
    );
};

test('what people did is chained within seconds, and the head of the chain is in the log', async () => {
  for (const shard of SHARDS) await write(shard, 5);
  const keeper = await start();
  await becomesWhole();
  await until('the head to be told', () => /"head":"\d+:[0-9a-f]{64}"/.test(keeper.output()));
});

test.each([
  {
    when: 'before it commits',
    shard: 0,
    lock: 'select from control.audit_head for update',
    waits: 'update control.audit_head',
  },
  {
    when: 'after it committed, before the shard is told',
    shard: 1,
    lock: 'select from audit_outbox for update',
    waits: 'delete from audit_outbox',
  },
])('a keeper that is killed while it chains, $when, leaves no gap and no double', async ({shard, lock, waits}) => {
  for (const one of SHARDS) await write(one, 250);
  const holder = await bench.shards.pool(shard, 'ingest').connect();
  try {
    await holder.query('begin');
    await holder.query(lock);
    const keeper = await start();
    await isHeldUp(shard, waits);
    await kill(keeper);
    await loseHeldUp(shard, waits);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
  for (const one of SHARDS) await write(one, 3);
  await start();
  await becomesWhole();
});

test('keepers that are killed again and again, while people go on, leave no gap and no double', async () => {
  for (let round = 0; round < 3; round++) {
    const before = (await chainedIds()).length;
    await write(round % 2, 50);
    const keeper = await start();
    const people = write((round + 1) % 2, 300);
    await until('some to be chained', async () => (await chainedIds()).length > before);
    await kill(keeper);
    await people;
  }
  await start();
  await becomesWhole();
});
