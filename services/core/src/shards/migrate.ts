import {MIGRATION_CONNECTIONS} from '@pisync/contract/connections';
import {setTimeout as delay} from 'node:timers/promises';
import knexModule from 'knex';
import pg from 'pg';
import {AppError} from '../errors/app-error.ts';
import {SHARD_TABLES} from './migrations/0001-base.ts';
import {CONTROL_TABLES} from './migrations/0001-control.ts';
import {PG_TYPES} from './pg-types.ts';
import {runSteps, type Step} from './migration-steps.ts';
import {SESSION_OPTIONS} from './session-settings.ts';

/** Where and as whom to migrate. */
export interface MigrationTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/**
 * How a migration connects. How long a server may keep it waiting without a word: 5 s for a connection and, when its node is lost, some 20 s until that is noticed.
 * There is no limit for a statement, because a table may be large.
 */
export const MIGRATION_CONNECTION = {
  options: SESSION_OPTIONS,
  connectionTimeoutMillis: 5_000,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
} as const;

export interface Migration {
  readonly name: string;
  /**
   * The last migration of the oldest release whose services, and whose migration Jobs, go on working on what this one makes: as a rule that of the release
   * before, which runs while this one is rolled out and after it is rolled back. None for the first.
   */
  readonly worksWith?: string;
  /** For this shard. */
  readonly steps: (shardId: number) => readonly Step[];
}

/** In order. Never edit one that was released: add the next. One that is rewritten before it is released gets another name. */
export const MIGRATIONS: readonly Migration[] = [
  {
    name: '0001-base',
    steps: (shardId) => [{kind: 'transaction', sql: shardId === 0 ? SHARD_TABLES + CONTROL_TABLES : SHARD_TABLES}],
  },
];

/** The version of the database schema that this release needs: services are not ready on a shard that has an older one. */
export const SCHEMA_VERSION = MIGRATIONS.length;

const TABLE = 'schema_migration';
/** Tells older releases whether they may go on; there before the migration, so that one that was interrupted has told it too. */
const WORKS_WITH = 'schema_works_with';
/** Session lock of whoever migrates a database ("PM" in ASCII). */
const MIGRATION_LOCK = 0x504d;
const LOCK_EVERY_MS = 500;
/** After that whoever waits is told for whom. */
const LOCK_PATIENCE_MS = 5_000;
/** As knex would make it, and no name twice: it records over another connection, which may be late. */
const RECORDS = `
  create table if not exists ${TABLE} (id serial primary key, name varchar(255), batch int, migration_time timestamptz);
  create table if not exists ${WORKS_WITH} (name text primary key, works_with text not null);
  create unique index if not exists ${TABLE}_name on ${TABLE} (name)`;

/**
 * Brings one shard's schema to the newest version; several at once wait for each other. There is no way down: a release
 * that must be undone gets a migration that undoes it.
 * @returns the schema version after. @throws AppError `conflict` when the schema came about otherwise than by these migrations or is newer, `shard-unavailable` after
 * some seconds in which another had the lock, and what the database threw; `isSystemicDatabaseFault` says whether to try again.
 */
export const migrateShard = async (
  target: MigrationTarget,
  shardId: number,
  say: (progress: string) => void = () => undefined,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<number> => {
  const connection = {...target, ...MIGRATION_CONNECTION, application_name: `migrate/shard-${shardId}`};
  // knex's own lock is a table row that a killed job leaves behind; this one ends with its connection.
  const guard = new pg.Client({...connection, types: PG_TYPES});
  // A lost connection also fails the query that waits; as an event alone it would end the process.
  guard.on('error', () => undefined);
  await guard.connect();
  try {
    await takeLock(guard, shardId);
    await guard.query(RECORDS);
    requireOurs(await doneMigrations(guard), migrations, shardId);
    for (const {name, worksWith} of migrations) {
      if (worksWith === undefined) continue;
      const values = [name, worksWith];
      await guard.query(
        `insert into ${WORKS_WITH} values ($1, $2) on conflict (name) do update set works_with = excluded.works_with`,
        values,
      );
    }
    const db = knexModule.knex({
      client: 'pg',
      connection,
      // Beside the guard.
      pool: {min: 0, max: MIGRATION_CONNECTIONS - 1},
      migrations: {
        tableName: TABLE,
        // Those of a newer release are looked at above.
        disableMigrationsListValidation: true,
        migrationSource: {
          getMigrations: () => Promise.resolve([...migrations]),
          getMigrationName: ({name}: Migration) => name,
          getMigration: ({name, steps}: Migration) =>
            Promise.resolve({
              // Its steps have their own.
              config: {transaction: false},
              // In the session that has the lock: when one ends the other does.
              up: () => runSteps(guard, {name, steps: steps(shardId), say}),
              down: () => Promise.reject(new Error('schema migrations go up only')),
            }),
        },
      },
    });
    try {
      await db.migrate.forceFreeMigrationsLock();
      await db.migrate.latest();
    } finally {
      await db.destroy();
    }
    return await schemaVersion(guard, migrations);
  } finally {
    await guard.end();
  }
};

/** Asks again and again: a statement that waits is one that `create index concurrently` waits for, so both would. */
const takeLock = async (guard: pg.Client, shardId: number): Promise<void> => {
  const until = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    const got = await guard.query<{locked: boolean}>('select pg_try_advisory_lock($1) as locked', [MIGRATION_LOCK]);
    if (got.rows[0]?.locked === true) return;
    if (performance.now() >= until) throw await heldBy(guard, shardId);
    await delay(LOCK_EVERY_MS);
  }
};

const heldBy = async (guard: pg.Client, shardId: number): Promise<AppError> => {
  const holders = await guard.query<{session: string}>(
    `select format('session %s (%s, %s since %s)', pid, application_name, state, state_change) as session
     from pg_locks join pg_stat_activity using (pid)
     where database = (select oid from pg_database where datname = current_database()) and locktype = 'advisory' and objid = $1 and objsubid = 1 and granted`,
    [MIGRATION_LOCK],
  );
  const session = holders.rows[0]?.session ?? 'a session that has ended by now';
  return new AppError('shard-unavailable', `shard ${shardId} is being migrated by ${session}`);
};

interface Done {
  readonly name: string;
  readonly worksWith: string | null;
}

/** In the order in which they were done. */
const doneMigrations = async (db: pg.ClientBase | pg.Pool): Promise<readonly Done[]> => {
  const tables = await db.query<{done: boolean; works: boolean}>(
    `select to_regclass('${TABLE}') is not null as done, to_regclass('${WORKS_WITH}') is not null as works`,
  );
  const [present] = tables.rows;
  if (present?.done !== true) return [];
  const works = present.works ? `(select works_with from ${WORKS_WITH} w where w.name = m.name)` : 'null';
  const done = await db.query<Done>(`select name, ${works} as "worksWith" from ${TABLE} m order by id`);
  return done.rows;
};

/** A newer schema is ours too where each of its migrations says that it works with this release or an older one. */
const requireOurs = (done: readonly Done[], migrations: readonly Migration[], shardId: number): void => {
  const names = new Set(migrations.map(({name}) => name));
  const at = done.findIndex(({name, worksWith}, index) => {
    const here = migrations[index]?.name;
    return here === undefined ? worksWith === null || !names.has(worksWith) : here !== name;
  });
  const there = done[at]?.name;
  if (there === undefined) return;
  const here = migrations[at]?.name;
  throw new AppError(
    'conflict',
    here === undefined
      ? `shard ${shardId} has the schema of a newer release, on which this one does not work: its migration ${there} says so`
      : `shard ${shardId} has the schema of another line of releases: its migration ${at + 1} is ${there}, here it is ${here}. Run the release that made it, or give the shard an empty volume`,
  );
};

/**
 * The version of a shard's schema: how many migrations of this release, from the first, it has had. 0 when it was never migrated, or by others. What a newer
 * release has added does not count.
 */
export const schemaVersion = async (
  db: pg.ClientBase | pg.Pool,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<number> => {
  const done = await doneMigrations(db);
  const missing = migrations.findIndex(({name}, index) => done[index]?.name !== name);
  return missing < 0 ? migrations.length : missing;
};
