import {randomUUID} from 'node:crypto';
import {cp, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createDeviceKeys} from '../devices/device-keys.ts';
import {DEFAULT_GROUP} from '../devices/groups.ts';
import {findDeviceContext} from '../devices/credentials.ts';
import {type DeviceQuery, listDevices} from '../queries/device-list.ts';
import {countDevices, DEVICE_FIELDS, findDevice} from '../queries/devices.ts';
import {enrol} from '../devices/enrolment.ts';
import {touchLastSeen} from '../devices/last-seen.ts';
import {findPosition} from '../devices/position.ts';
import {tokenHash} from '../devices/tokens.ts';
import {until} from '../testing/until.ts';
import {SHARDED_TABLES} from './sharded-tables.ts';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {databaseFault} from './database-fault.ts';
import {migrateShard, type MigrationTarget, SCHEMA_VERSION, schemaVersion} from './migrate.ts';
import {daysAround, ensurePartitions} from './partitions.ts';
import {openShards} from './shards.ts';
import {inSlotTransaction, withOwnedSlots} from './slot-transaction.ts';

// Servers that others also use answer slowly at times; what is waited for has its own, shorter deadline.
jest.setTimeout(60_000);

const YEAR_MS = 365 * 86_400_000;

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 2});
});
afterAll(() => bench.close());

const PENDING_BY_ID: Omit<DeviceQuery, 'shard'> = {
  condition: {kind: 'is', field: 'status', values: ['pending'], not: false},
  ...{order: {by: 'id', descending: false}, limit: 1000, fields: DEVICE_FIELDS, shardsAsked: 2, leftMs: () => 10_000},
};

const enrolment = (deviceId: string, secret: string) => ({
  deviceId,
  hardwareId: `hw-${deviceId}`,
  secretHash: tokenHash(secret),
  groupId: DEFAULT_GROUP,
});

test('the slot map sends each half of the slots to one of two shards', () => {
  expect(bench.shards.slotMap.shardOf(0)).toBe(0);
  expect(bench.shards.slotMap.shardOf(1023)).toBe(1);
  expect(bench.shards.slotMap.slotsOf(0)).toHaveLength(512);
});

test('a shard whose Secret is not mounted yet stops no start, hides no other shard, and is used once it is', async () => {
  const secretsDir = await mkdtemp(join(tmpdir(), 'pisync-late-secrets-'));
  const mount = (folder: string): Promise<void> =>
    cp(join(bench.secretsDir, folder), join(secretsDir, folder), {recursive: true});
  await mount('shard-1');
  const late = await openShards({
    topology: {current: () => bench.topology, onChange: () => () => undefined},
    secretsDir,
    applicationName: 'late',
    log: pino({level: 'silent'}),
    metrics: new Registry(),
    sizes: {ingest: 1, dashboard: 1, job: 1},
  });
  try {
    expect(() => late.pool(0, 'ingest')).toThrow('shard 0 cannot be used at the moment');
    expect((await late.pool(1, 'ingest').query('select 1')).rowCount).toBe(1);
    await mount('shard-0');
    expect((await late.pool(0, 'ingest').query('select 1')).rowCount).toBe(1);
  } finally {
    await late.close();
    await rm(secretsDir, {recursive: true});
  }
});

test('when the Secret of a shard names another user, connections are made as that one', async () => {
  const secretsDir = await mkdtemp(join(tmpdir(), 'pisync-other-user-'));
  const role = `pisync_test_${randomUUID().replaceAll('-', '')}`;
  const admin = bench.shards.pool(1, 'job');
  await cp(bench.secretsDir, secretsDir, {recursive: true});
  await admin.query(`create role ${role} login superuser password 'other'`);
  const following = await openShards({
    topology: {current: () => bench.topology, onChange: () => () => undefined},
    secretsDir,
    applicationName: 'following',
    log: pino({level: 'silent'}),
    metrics: new Registry(),
    sizes: {ingest: 1, dashboard: 1, job: 1},
  });
  const userOf = async (shardId: number): Promise<string | undefined> =>
    (await following.pool(shardId, 'ingest').query<{user: string}>('select current_user as user')).rows[0]?.user;
  try {
    const before = await userOf(1);
    // The password is the next connection's already; the one that is there goes on.
    await writeFile(join(secretsDir, 'shard-1', 'password'), 'other');
    await writeFile(join(secretsDir, 'shard-1', 'username'), role);
    await until(
      'the other user',
      () => userOf(1),
      (user) => user === role,
    );
    expect(await userOf(0)).toBe(before);
  } finally {
    await following.close();
    await admin.query(`drop role ${role}`);
    await rm(secretsDir, {recursive: true});
  }
});

/** An empty database, as long as it is worked with. */
const withDatabase = async (work: (target: MigrationTarget) => Promise<void>): Promise<void> => {
  const {database, ...server} = bench.target(1);
  const fresh = `${database}_fresh`;
  const pool = bench.shards.pool(1, 'job');
  await pool.query(`create database ${fresh}`);
  try {
    await work({...server, database: fresh});
  } finally {
    await pool.query(`drop database ${fresh} with (force)`);
  }
};

test('three migrations at once leave one schema', () =>
  withDatabase(async (target) => {
    const versions = await Promise.all([1, 2, 3].map(() => migrateShard(target, 1)));
    expect(versions).toEqual([SCHEMA_VERSION, SCHEMA_VERSION, SCHEMA_VERSION]);
  }));

test('a migration that waits for another one does not hold up an index that this one makes', () =>
  withDatabase(async (target) => {
    await migrateShard(target, 1);
    const working = new pg.Client(target);
    await working.connect();
    try {
      // "PM", as in migrate.ts.
      await working.query('select pg_advisory_lock($1)', [0x504d]);
      const waiting = migrateShard(target, 1);
      await until('the other one to come', async () => {
        const found = await working.query(
          `select from pg_stat_activity where datname = current_database() and application_name = 'migrate/shard-1' and query like '%lock%'`,
        );
        return found.rowCount === 1;
      });
      await working.query('create index concurrently device_model on device (model)');
      await working.query('select pg_advisory_unlock_all()');
      expect(await waiting).toBe(SCHEMA_VERSION);
    } finally {
      await working.end();
    }
  }));

test.each([
  ['newer', `insert into schema_migration (name) values ('9999-later')`, SCHEMA_VERSION, 'of a newer release'],
  ['made by other releases', `update schema_migration set name = '0001-other'`, 0, 'of another line of releases'],
])('a schema that is %s is refused and stays as it is', (_what, sql, version, reason) =>
  withDatabase(async (target) => {
    await migrateShard(target, 1);
    const client = new pg.Client(target);
    await client.connect();
    try {
      await client.query(sql);
      expect(await schemaVersion(client)).toBe(version);
      await expect(migrateShard(target, 1)).rejects.toThrow(reason);
      expect(await schemaVersion(client)).toBe(version);
    } finally {
      await client.end();
    }
  }),
);

test('an enrolment that is repeated, also at the same time, changes nothing', async () => {
  const deviceId = randomUUID();
  const keys = createDeviceKeys(bench.shards);
  const all = await Promise.all(Array.from({length: 6}, () => enrol(bench.shards, keys, enrolment(deviceId, 'a'))));
  expect(all.map(({kind}) => kind).sort()).toEqual([
    'created',
    'repeated',
    'repeated',
    'repeated',
    'repeated',
    'repeated',
  ]);
  expect(new Set(all.map((one) => (one.kind === 'refused' ? 'refused' : `${one.deviceKey}/${one.epoch}`))).size).toBe(
    1,
  );
});

test('another secret is a re-imaged card: a new epoch and credential, the same device', async () => {
  const deviceId = randomUUID();
  const keys = createDeviceKeys(bench.shards);
  const first = await enrol(bench.shards, keys, enrolment(deviceId, 'a'));
  const second = await enrol(bench.shards, keys, enrolment(deviceId, 'b'));
  expect(first).toMatchObject({kind: 'created', epoch: 1});
  expect(second).toMatchObject({kind: 'replaced', epoch: 2, deviceKey: first.kind === 'refused' ? 0 : first.deviceKey});
  const credential = (await findDeviceContext(bench.shards, deviceId))?.credential;
  expect(credential?.secretHash.equals(tokenHash('b'))).toBe(true);
  expect(credential).toMatchObject({epoch: 2, revoked: false, deviceId});
});

test('a device that was never enrolled has no credential, position or page', async () => {
  const nobody = randomUUID();
  expect(await findDeviceContext(bench.shards, nobody)).toBeUndefined();
  expect(await findDevice(bench.shards, nobody)).toBeUndefined();
  expect(
    await findPosition(bench.shards, {deviceId: nobody, deviceKey: 123_456_789, slot: bench.shards.slotOf(nobody)}, 1),
  ).toBeUndefined();
});

test('a new device is pending, at the start of epoch 1, and listed on its own shard only', async () => {
  const deviceId = randomUUID();
  const made = await enrol(bench.shards, createDeviceKeys(bench.shards), enrolment(deviceId, 'a'));
  if (made.kind === 'refused') throw new Error('a new device is let in');
  expect(await findPosition(bench.shards, {...made, deviceId}, 1)).toEqual({
    epoch: 1,
    appliedThrough: 0,
    appliedOfAsked: 0,
    commands: false,
  });
  expect(await findDevice(bench.shards, deviceId)).toMatchObject({
    deviceId,
    status: 'pending',
    epoch: 1,
    lastSyncAt: null,
  });
  const home = bench.shards.shardOfDevice(deviceId);
  const pages = await Promise.all(
    bench.shards.ids().map((shard) => listDevices(bench.shards, {shard, ...PENDING_BY_ID})),
  );
  const found = pages.map(({rows}) => rows.some((device) => device.deviceId === deviceId));
  expect(found).toEqual([home === 0, home === 1]);
});

test('pages of devices follow one another without gaps or repeats', async () => {
  const keys = createDeviceKeys(bench.shards);
  const [groupId, otherId] = [4711, 4712];
  for (let index = 0; index < 30; index++) {
    await enrol(bench.shards, keys, {...enrolment(randomUUID(), 'a'), groupId: index % 3 === 0 ? otherId : groupId});
  }
  for (const shard of bench.shards.ids()) {
    const sizes: number[] = [];
    for (const groupIds of [[groupId], [otherId], [groupId, otherId]]) {
      const inGroups = {kind: 'is', field: 'group', values: groupIds, not: false} as const;
      const condition = {kind: 'and', of: [inGroups, PENDING_BY_ID.condition]} as const;
      const query: DeviceQuery = {...PENDING_BY_ID, shard, condition};
      const whole = (await listDevices(bench.shards, query)).rows.map(({deviceId}) => deviceId);
      const paged: string[] = [];
      for (;;) {
        const after = paged.slice(-1).map((id) => ({value: null, id}))[0];
        const {rows} = await listDevices(bench.shards, {...query, limit: 3, after});
        if (rows.length === 0) break;
        paged.push(...rows.map(({deviceId}) => deviceId));
      }
      expect(paged).toEqual(whole);
      expect(whole).toEqual(whole.toSorted());
      sizes.push(whole.length);
    }
    const [inOne = 0, inOther = 0, inBoth] = sizes;
    expect(inBoth).toBe(inOne + inOther);
    const counts = await countDevices(bench.shards, shard, () => 10_000);
    expect(counts).toContainEqual({groupId, status: 'pending', count: inOne});
  }
});

test('a sighting moves last seen forward and never back', async () => {
  const deviceId = randomUUID();
  const made = await enrol(bench.shards, createDeviceKeys(bench.shards), enrolment(deviceId, 'a'));
  if (made.kind === 'refused') throw new Error('a new device is let in');
  const at = Date.UTC(2026, 0, 2, 3, 4, 5);
  expect(
    await touchLastSeen(bench.shards, [
      {...made, seenAtMs: at},
      {...made, seenAtMs: at - 5000},
    ]),
  ).toEqual([]);
  await touchLastSeen(bench.shards, [{...made, seenAtMs: at - 1000}]);
  expect((await findDevice(bench.shards, deviceId))?.lastSeenAt).toEqual(new Date(at));
  // By a server whose clock is ahead.
  await touchLastSeen(bench.shards, [{...made, seenAtMs: Date.now() + YEAR_MS}]);
  const lastSeenAt = (await findDevice(bench.shards, deviceId))?.lastSeenAt;
  expect(lastSeenAt?.getTime()).toBeLessThanOrEqual(Date.now());
});

test('a transaction on a slot that another shard owns is refused and writes nothing', async () => {
  const verdict = await withOwnedSlots(bench.shards.pool(0, 'ingest'), [1, 1023, 1, 700], () =>
    Promise.resolve('written'),
  );
  expect(verdict).toEqual({kind: 'moved', slots: [700, 1023]});
});

test('a transaction whose deadline passes is cut off and its connection is not used again', async () => {
  const pool = bench.shards.pool(0, 'ingest');
  let pid: number | undefined;
  const slow = inSlotTransaction(pool, {
    slots: [1],
    open: () => Promise.resolve(),
    work: async (client) => {
      pid = (await client.query<{pid: number}>('select pg_backend_pid() as pid')).rows[0]?.pid;
      await client.query('select pg_sleep(10)');
    },
    deadline: AbortSignal.timeout(200),
  });
  await expect(slow).rejects.toThrow(/connection/i);
  expect(pid).toEqual(expect.any(Number));
  const others = await Promise.all(
    Array.from({length: 8}, () => pool.query<{pid: number}>('select pg_backend_pid() as pid, pg_sleep(0.05)')),
  );
  expect(others.map(({rows}) => rows[0]?.pid)).not.toContain(pid);
  // The server would notice only at the end of the statement.
  await pool.query('select pg_terminate_backend($1)', [pid]);
});

test('a process that stands still in a transaction loses its locks within seconds', async () => {
  const pool = bench.shards.pool(1, 'ingest');
  const still = await pool.connect();
  try {
    await still.query('begin');
    await still.query('select pg_advisory_xact_lock(1, 2)');
    const waiting = await bench.shards.pool(1, 'job').query<{ms: number}>(
      `with began as materialized (select clock_timestamp() as at), locked as materialized (select pg_advisory_xact_lock(1, 2) from began)
       select extract(epoch from clock_timestamp() - at)::float8 * 1000 as ms from began, locked`,
    );
    expect(waiting.rows[0]?.ms).toBeGreaterThan(2_000);
    await expect(still.query('commit')).rejects.toThrow();
  } finally {
    still.release(true);
  }
});

test('a transaction whose statements do not fit any more since a migration ends its connection', async () => {
  const pool = bench.shards.pool(1, 'ingest');
  const job = bench.shards.pool(1, 'job');
  await job.query('create table migrated (n int); insert into migrated values (7)');
  const look = () =>
    withOwnedSlots(pool, [700], async (client) => {
      const found = await client.query<{n: unknown}>({name: 'migrated', text: 'select n from migrated'});
      return found.rows;
    });
  const statements = 6;
  // Every connection of the pool has the statement.
  await Promise.all(Array.from({length: statements}, look));
  await job.query('alter table migrated alter column n type text');
  const seen: unknown[] = [];
  await until('a connection that knows', async () => {
    const verdict = await look().catch((error: unknown) => {
      expect(databaseFault(error)).toBe('unable');
      return undefined;
    });
    seen.push(verdict);
    return verdict !== undefined;
  });
  expect(seen.length).toBeLessThanOrEqual(statements + 1);
  expect(seen.at(-1)).toEqual({kind: 'done', value: [{n: '7'}]});
  await job.query('drop table migrated');
});

test('partitions are made once, whoever else makes them at the same time', async () => {
  const pool = bench.shards.pool(0, 'job');
  const days = daysAround(Date.now(), 2, 5);
  const made = await Promise.all([ensurePartitions(pool, days), ensurePartitions(pool, days)]);
  expect(made.flat().sort()).toEqual(days);
  expect(await ensurePartitions(pool, days)).toEqual([]);
});

test('the list of sharded tables is what the schema has: name, key, and the column of its partitions', async () => {
  const found = await bench.shards.pool(1, 'job').query<{name: string; day: string | null; key: string}>(
    `select c.relname as name, (select attname from pg_attribute a join pg_partitioned_table p on p.partrelid = c.oid
                                where a.attrelid = c.oid and a.attnum = p.partattrs[0]) as day,
            (select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
             where i.indrelid = c.oid order by i.indisprimary desc, i.indexrelid limit 1) as key
     from pg_class c where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
       and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'device_key') order by 1`,
  );
  expect(found.rows).toEqual(
    [...SHARDED_TABLES]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({name, partitionedBy = null, keyedBy = 'device_key'}) => ({name, day: partitionedBy, key: keyedBy})),
  );
  const others = await bench.shards.pool(1, 'job').query<{name: string}>(
    `select c.relname as name from pg_class c where c.relkind in ('r', 'p') and not c.relispartition
       and c.relnamespace = 'public'::regnamespace and c.relname <> all($1) order by 1`,
    [SHARDED_TABLES.map(({name}) => name)],
  );
  // Of the shard, not of devices.
  expect(others.rows.map(({name}) => name).filter((name) => !name.startsWith('knex'))).toEqual([
    'audit_counter',
    'audit_outbox',
    'keeper_term',
    'recency_pass',
    'schema_migration',
    'schema_migration_lock',
    'schema_step',
    'schema_works_with',
    'slot_owner',
  ]);
});
