import {createHash, randomBytes} from 'node:crypto';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {SECRET_KEYS, shardSecretFolder} from '@pisync/contract/files';
import {type Topology} from '@pisync/contract/topology';
import pg from 'pg';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {MIGRATIONS, migrateShard, type MigrationTarget} from '../shards/migrate.ts';
import {daysAround, ensurePartitions} from '../shards/partitions.ts';
import {readSlotMap, seedSlotMap, seedSlotOwner} from '../shards/provision.ts';
import {openShards, type Shards} from '../shards/shards.ts';

/** Shards in databases of their own on a test server. */
export interface TestShards {
  readonly shards: Shards;
  readonly topology: Topology;
  /** As mounted into a pod: what `openShards` of a second process would be given. */
  readonly secretsDir: string;
  /** Where a shard is, for tests that go behind the repositories. */
  target(shardId: number): MigrationTarget;
  /** Closes the shards and drops the databases. @throws when somebody still has a connection: a pool leaked. */
  close(): Promise<void>;
}

export interface TestShardsOptions {
  readonly shards: number;
  /** Partitions are made around this instant, default now. */
  readonly nowMs?: number;
}

const VARIABLE = 'PISYNC_TEST_POSTGRES_URL';
/** One template is built at a time ("PT" in ASCII). */
const TEMPLATE_LOCK = 0x5054;

const maintenanceUrl = (): URL => {
  const text = process.env[VARIABLE];
  if (text === undefined || text === '') {
    throw new Error(`${VARIABLE} is not set: it names the superuser and the maintenance database of a test server`);
  }
  return new URL(text);
};

const targetOf = (url: URL, database: string): MigrationTarget => ({
  host: url.hostname,
  port: Number(url.port === '' ? '5432' : url.port),
  database,
  user: decodeURIComponent(url.username),
  password: decodeURIComponent(url.password),
});

/** A migrated database to copy, made once per version of the schema and kept on the server for the next run. */
const ensureTemplate = async (admin: pg.Client, url: URL, shardId: number): Promise<string> => {
  const kind = shardId === 0 ? 'control' : 'plain';
  const version = createHash('sha256')
    .update(JSON.stringify(MIGRATIONS.map(({name, steps}) => [name, steps(shardId)])))
    .digest('hex')
    .slice(0, 12);
  const name = `pisync_template_${version}_${kind}`;
  await admin.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
  try {
    const found = await admin.query('select 1 from pg_database where datname = $1', [name]);
    if (found.rowCount === 0) {
      // Built under another name, so that a test run that is killed leaves no half template.
      const building = `${name}_building`;
      await admin.query(`drop database if exists ${building} with (force)`);
      await admin.query(`create database ${building}`);
      await migrateShard(targetOf(url, building), shardId);
      await admin.query(`alter database ${building} rename to ${name}`);
    }
  } finally {
    await admin.query('select pg_advisory_unlock($1)', [TEMPLATE_LOCK]);
  }
  return name;
};

const topologyOf = (url: URL, databases: readonly string[]): Topology => {
  const {host, port} = targetOf(url, '');
  return {
    region: 'test',
    name: 'test',
    shards: databases.map((database, id) => ({id, rw: {host, port}, database})),
    joining: [],
    broker: {host, port: 5672, vhost: '/', partitions: 2, replicas: 1},
    redis: {host, port: 6379},
    capacity: {devices: 1000, syncWindow: {start: '00:00', durationMinutes: 1440}},
    retention: {recordDays: 30, receiptDays: 30, quarantineDays: 30},
  };
};

/** Databases cloned from a migrated template, with slots shared out and partitions made; drop them with `close`. */
export const createTestShards = async ({shards: count, nowMs = Date.now()}: TestShardsOptions): Promise<TestShards> => {
  const url = maintenanceUrl();
  const run = randomBytes(5).toString('hex');
  const databases = Array.from({length: count}, (_, id) => `pisync_test_${run}_${id}`);
  const admin = new pg.Client({connectionString: url.href});
  await admin.connect();
  const secretsDir = await mkdtemp(join(tmpdir(), 'pisync-secrets-'));
  await mkdir(join(secretsDir, 'audit'));
  await writeFile(join(secretsDir, 'audit', SECRET_KEYS.audit.key), randomBytes(32).toString('base64url'));
  for (const [id, database] of databases.entries()) {
    const template = await ensureTemplate(admin, url, id);
    await admin.query(`create database ${database} template ${template}`);
    const folder = join(secretsDir, shardSecretFolder(id));
    await mkdir(folder);
    const {user, password} = targetOf(url, database);
    await writeFile(join(folder, 'username'), user);
    await writeFile(join(folder, 'password'), password);
  }
  const topology = topologyOf(url, databases);
  const shards = await openShards({
    topology: {current: () => topology, onChange: () => () => undefined},
    secretsDir,
    applicationName: `test-${run}`,
    log: pino({level: 'silent'}),
    metrics: new Registry(),
    sizes: {ingest: 8, dashboard: 2, job: 2},
  });
  await seedSlotMap(shards.control('job'), count);
  const map = await readSlotMap(shards.control('job'));
  if (map === undefined) throw new Error('the slot map was seeded and cannot be read');
  for (const id of shards.ids()) {
    await seedSlotOwner(shards.pool(id, 'job'), id, map);
    await ensurePartitions(shards.pool(id, 'job'), daysAround(nowMs, -1, 1));
  }
  await shards.slotMap.reload();

  return {
    shards,
    topology,
    secretsDir,
    target: (shardId) => targetOf(url, databases[shardId] ?? ''),
    async close() {
      await shards.close();
      const leaked = await leakedConnections(admin, databases);
      for (const database of databases) await admin.query(`drop database if exists ${database} with (force)`);
      await admin.end();
      await rm(secretsDir, {recursive: true, force: true});
      if (leaked.length > 0) throw new Error(`connections were left open: ${leaked.join(', ')}`);
    },
  };
};

/** The server notices a closed socket a moment later than the client, hence the grace. */
const LEAK_GRACE_MS = 3_000;

const leakedConnections = async (admin: pg.Client, databases: readonly string[]): Promise<readonly string[]> => {
  const deadline = Date.now() + LEAK_GRACE_MS;
  for (;;) {
    const found = await admin.query<{who: string}>(
      `select application_name || ' (' || coalesce(state, '?') || ': ' || left(query, 80) || ')' as who
       from pg_stat_activity where datname = any($1) and backend_type = 'client backend'`,
      [databases],
    );
    if (found.rows.length === 0 || Date.now() > deadline) return found.rows.map(({who}) => who);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
