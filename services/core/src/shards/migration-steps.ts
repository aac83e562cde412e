import {setTimeout as delay} from 'node:timers/promises';
import type pg from 'pg';

/**
 * What a migration does, in order, while services read and write. Each step is done once: how far a database is stands in the database, so a job that was
 * killed goes on where it was.
 */
export type Step = Transaction | Index | Detach | Backfill;

/** Statements in one transaction. They wait for locks for a short time only: whoever comes after them waits behind them. */
interface Transaction {
  readonly kind: 'transaction';
  readonly sql: string;
}

/** An index of a table that is not partitioned, made while others write. */
interface Index {
  readonly kind: 'index';
  readonly name: string;
  readonly isUnique?: boolean;
  /** What follows `on`, such as `device (model)`. */
  readonly on: string;
}

/** Takes a partition out of its table while others read and write it. */
interface Detach {
  readonly kind: 'detach';
  readonly table: string;
  readonly partition: string;
}

/**
 * Changes rows of a table, some thousand in a transaction, and rests in between for as long as that took. Whoever writes meanwhile, services of the release
 * before among them, has to write what is right by itself, by a trigger or a default of the column: rows that are new below the key that was reached, and rows
 * that begin to be what `where` says while their page is changed, are not looked at again.
 */
interface Backfill {
  readonly kind: 'backfill';
  readonly table: string;
  /** A unique column of integers above 0. */
  readonly key: string;
  /** What follows `set`; columns of the table alone. A row that slot moves have to see again needs its `tx_id` in it. */
  readonly set: string;
  /** Rows that it is about. */
  readonly where: string;
  readonly rowsAtOnce?: number;
}

interface StepsOptions {
  /** Of the migration. */
  readonly name: string;
  readonly steps: readonly Step[];
  /** Told after each step, and once in a while within one. */
  readonly say: (progress: string) => void;
}

/** A database's progress: a row for each step that was begun. */
const TABLE = 'schema_step';
/** Then the job tries again (`databaseFault` says that the lock is held), and whoever waited behind it has had a turn. */
const LOCK_TIMEOUT = '2s';
const ROWS_AT_ONCE = 2000;
const SAY_MS = 10_000;

interface Progress {
  readonly isDone: boolean;
  /** The last key that was looked at. */
  readonly after: number;
}

/** Runs what is left to do. @param client of whoever holds the migration lock, in no transaction. @throws what the database threw */
export const runSteps = async (client: pg.Client, {name, steps, say}: StepsOptions): Promise<void> => {
  await client.query(
    `create table if not exists ${TABLE} (
       migration text, step int, is_done boolean not null default false, after bigint not null default 0, primary key (migration, step))`,
  );
  for (const [index, step] of steps.entries()) {
    const id = [name, index] as const;
    const {isDone, after} = await progressOf(client, id);
    if (isDone) continue;
    switch (step.kind) {
      case 'transaction':
        await inTransaction(client, async () => {
          await client.query(step.sql);
          await save(client, id, {isDone: true, after});
        });
        break;
      case 'index':
        await makeIndex(client, step);
        await save(client, id, {isDone: true, after});
        break;
      case 'detach':
        await detach(client, step);
        await save(client, id, {isDone: true, after});
        break;
      case 'backfill':
        await fill(client, id, step, after, say);
        break;
    }
    say(`step ${index + 1} of ${steps.length} of ${name} is done`);
  }
};

type StepId = readonly [migration: string, step: number];

const progressOf = async (client: pg.Client, id: StepId): Promise<Progress> => {
  const found = await client.query<Progress>(
    `select is_done as "isDone", after from ${TABLE} where migration = $1 and step = $2`,
    [...id],
  );
  return found.rows[0] ?? {isDone: false, after: 0};
};

const save = async (client: pg.Client, id: StepId, {isDone, after}: Progress): Promise<void> => {
  await client.query(
    `insert into ${TABLE} (migration, step, is_done, after) values ($1, $2, $3, $4)
     on conflict (migration, step) do update set is_done = excluded.is_done, after = excluded.after`,
    [...id, isDone, after],
  );
};

const inTransaction = async <T>(client: pg.Client, work: () => Promise<T>): Promise<T> => {
  await client.query('begin');
  try {
    await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    // A connection that is lost has rolled back.
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
};

/** Waits for transactions that are under way, and no writer waits for it, so it has no time limit. One that was interrupted leaves an index that is no good. */
const makeIndex = async (client: pg.Client, {name, isUnique = false, on}: Index): Promise<void> => {
  const found = await client.query<{isValid: boolean}>(
    'select indisvalid as "isValid" from pg_index where indexrelid = to_regclass($1)',
    [name],
  );
  const [index] = found.rows;
  if (index?.isValid === true) return;
  const drop = `drop index concurrently if exists ${name}`;
  if (index !== undefined) await client.query(drop);
  try {
    await client.query(`create ${isUnique ? 'unique ' : ''}index concurrently ${name} on ${on}`);
  } catch (error) {
    // What is left of a unique one may refuse what services write.
    await client.query(drop).catch(() => undefined);
    throw error;
  }
};

/** Two transactions: whoever is interrupted between them leaves it pending, and it has to be brought to its end. */
const detach = async (client: pg.Client, {table, partition}: Detach): Promise<void> => {
  const found = await client.query<{isPending: boolean}>(
    'select inhdetachpending as "isPending" from pg_inherits where inhparent = $1::regclass and inhrelid = to_regclass($2)',
    [table, partition],
  );
  const [part] = found.rows;
  if (part === undefined) return;
  await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`);
  try {
    await client.query(
      `alter table ${table} detach partition ${partition} ${part.isPending ? 'finalize' : 'concurrently'}`,
    );
  } finally {
    await client.query('reset lock_timeout');
  }
};

const fill = async (
  client: pg.Client,
  id: StepId,
  {table, key, set, where, rowsAtOnce = ROWS_AT_ONCE}: Backfill,
  from: number,
  say: (progress: string) => void,
): Promise<void> => {
  // Locked in the order in which all writers do it.
  const page = `
    with page as materialized (select ${key} as key from ${table} where ${key} > $1 order by ${key} limit $2 for update),
      changed as (update ${table} set ${set} from page where ${table}.${key} = page.key and (${where}) returning 1)
    select max(key) as last, count(*)::int as looked, (select count(*)::int from changed) as changed from page`;
  let [after, changed, saidMs] = [from, 0, performance.now()];
  for (;;) {
    const beganMs = performance.now();
    const isDone = await inTransaction(client, async () => {
      const found = await client.query<{last: number | null; looked: number; changed: number}>(page, [
        after,
        rowsAtOnce,
      ]);
      const [row] = found.rows;
      after = row?.last ?? after;
      changed += row?.changed ?? 0;
      const isLast = (row?.looked ?? 0) < rowsAtOnce;
      await save(client, id, {isDone: isLast, after});
      return isLast;
    });
    if (isDone) return;
    if (performance.now() - saidMs > SAY_MS) {
      saidMs = performance.now();
      say(`${table}: ${changed} rows are filled, up to ${key} ${after}`);
    }
    await delay(performance.now() - beganMs);
  }
};
