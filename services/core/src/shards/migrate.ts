import {MIGRATION_CONNECTIONS} from '@pisync/contract/connections';
import knexModule from 'knex';
import pg from 'pg';
import {CONTROL_TABLES, SHARD_TABLES} from './migrations/0001-first.ts';
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

interface Migration {
  readonly name: string;
  /** Statements for this shard. */
  readonly sql: (shardId: number) => string;
}

/** In order. Never edit one that was released: add the next. */
export const MIGRATIONS: readonly Migration[] = [
  {name: '0001-first', sql: (shardId) => (shardId === 0 ? SHARD_TABLES + CONTROL_TABLES : SHARD_TABLES)},
];

/** The version of the database schema that this release needs: services are not ready on a shard that has an older one. */
export const SCHEMA_VERSION = MIGRATIONS.length;

const TABLE = 'schema_migration';
/** Session lock of whoever migrates a database ("PM" in ASCII). */
const MIGRATION_LOCK = 0x504d;

/**
 * Brings one shard's schema to the newest version; several at once wait for each other. There is no way down: a release
 * that must be undone gets a migration that undoes it.
 * @returns the schema version after. @throws what the database threw; `databaseFault` says whether to try again.
 */
export const migrateShard = async (target: MigrationTarget, shardId: number): Promise<number> => {
  const connection = {...target, ...MIGRATION_CONNECTION, application_name: `migrate/shard-${shardId}`};
  // knex's own lock is a table row that a killed job leaves behind; this one ends with its connection.
  const guard = new pg.Client(connection);
  // A lost connection also fails the query that waits; as an event alone it would end the process.
  guard.on('error', () => undefined);
  await guard.connect();
  try {
    await guard.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const db = knexModule.knex({
      client: 'pg',
      connection,
      // Beside the guard.
      pool: {min: 0, max: MIGRATION_CONNECTIONS - 1},
      migrations: {
        tableName: TABLE,
        migrationSource: {
          getMigrations: () => Promise.resolve([...MIGRATIONS]),
          getMigrationName: ({name}: Migration) => name,
          getMigration: ({sql}: Migration) =>
            Promise.resolve({
              up: async (transaction: {raw(sql: string): PromiseLike<unknown>}) => {
                await transaction.raw(sql(shardId));
              },
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
    return await schemaVersion(guard);
  } finally {
    await guard.end();
  }
};

/** The version of a shard's schema; 0 when it was never migrated. */
export const schemaVersion = async (db: pg.ClientBase | pg.Pool): Promise<number> => {
  const table = await db.query<{present: boolean}>(`select to_regclass('${TABLE}') is not null as present`);
  if (table.rows[0]?.present !== true) return 0;
  const rows = await db.query<{version: number}>(`select count(*)::int as version from ${TABLE}`);
  return rows.rows[0]?.version ?? 0;
};
