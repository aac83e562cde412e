import {MIGRATION_CONTROL_CONNECTIONS} from '@pisync/contract/connections';
import {SECRET_KEYS, shardSecretFolder} from '@pisync/contract/files';
import {type Topology} from '@pisync/contract/topology';
import {AppError, describeError} from '@pisync/core/errors/app-error';
import {type Secrets} from '@pisync/core/secrets/secrets';
import {MIGRATION_CONNECTION, migrateShard, type MigrationTarget} from '@pisync/core/shards/migrate';
import {ensurePartitionsAhead} from '@pisync/core/shards/partitions';
import {isStatementFault, isSystemicDatabaseFault} from '@pisync/core/shards/database-fault';
import {PG_TYPES} from '@pisync/core/shards/pg-types';
import {readSlotMap, seedSlotMap, seedSlotOwner} from '@pisync/core/shards/provision';
import {type KnownSlotMap, requireSavedSlotMap} from '@pisync/core/shards/saved-slot-map';
import {type SlotMapRow} from '@pisync/core/shards/slot-map';
import {type Logger} from '@pisync/core/telemetry/logger';
import pg from 'pg';

export interface MigrationJob {
  readonly shardId: number;
  /** Among how many shards the slots are shared out if they are not yet; by default those that the topology has as admitted. */
  readonly firstShards?: number | undefined;
  /** Of the last slot map that the keeper has read: what the other shards have when shard 0 is begun anew. Missing in a new region. */
  readonly slotMapFile: string;
  /** As the file has it now. */
  readonly topology: () => Topology;
  readonly secrets: Secrets;
  readonly log: Logger;
  readonly now: () => number;
  /** How long servers that do not answer, locks, and shard 0's slot map are waited for, since the last progress. */
  readonly deadlineMs: number;
}

const RETRY_MS = 1000;
/** A node shows a change of a ConfigMap to its pods within some 90 s. */
const LISTED_MS = 120_000;

/**
 * Makes one shard ready for this release. Safe to repeat and to run twice at once: every step adds only what is missing.
 * @throws AppError `config-invalid` for a shard that the topology does not come to list, `shard-unavailable` after the deadline, and at once what the database threw when trying again is of no use.
 */
export const runMigration = async (job: MigrationJob): Promise<void> => {
  const {shardId, secrets, log, now} = job;
  let giveUpAt = now() + job.deadlineMs;
  const onProgress = (progress: string): void => {
    log.info({shard: shardId, progress}, 'the schema is being migrated');
    giveUpAt = now() + job.deadlineMs;
  };
  const topology = await listing(job);
  const target = await targetOf(topology, secrets, shardId);
  const version = await retry(
    job,
    () => giveUpAt,
    `shard ${shardId} at ${target.host}:${target.port}`,
    () => migrateShard(target, shardId, onProgress),
    // It would be the same next time.
    (error) => isSystemicDatabaseFault(error) && !isStatementFault(error),
  );
  log.info({shard: shardId, version}, 'the schema is up to date');

  const pool = poolOf(target);
  const control = shardId === 0 ? pool : poolOf(await targetOf(topology, secrets, 0));
  try {
    const created = await ensurePartitionsAhead(pool);
    log.info({shard: shardId, created}, 'partitions are there');
    if (shardId === 0) {
      if ((await readSlotMap(pool)) === undefined) {
        // A shard that joins may be taken back, and would take its slots along.
        await seedSlotMap(pool, job.firstShards ?? topology.shards.length, await savedSlotMap(job, topology));
      }
    }
    const map = await retry(
      job,
      () => giveUpAt,
      'the slot map in shard 0',
      () => requireSlotMap(control),
    );
    await seedSlotOwner(pool, shardId, map);
    log.info({shard: shardId, slots: map.filter(({shard}) => shard === shardId).length}, 'slots are shared out');
  } finally {
    await pool.end();
    if (control !== pool) await control.end();
  }
};

/** One that does not fit is not passed over: slots are shared out for good, and on another shard than their own they would be refused. */
const savedSlotMap = async ({slotMapFile}: MigrationJob, topology: Topology): Promise<KnownSlotMap | undefined> => {
  const refused = (problem: string, cause?: unknown): AppError =>
    new AppError(
      'config-invalid',
      `the slot map that was saved (${slotMapFile}) ${problem}, so the slots are not shared out; see MigrationFailed in the runbook`,
      {cause},
    );
  const saved = await requireSavedSlotMap(slotMapFile).catch((error: unknown) => {
    throw refused('cannot be read', error);
  });
  const known = new Set(declaredShards(topology).map(({id}) => id));
  const stranger = saved?.shards.find((shard) => !known.has(shard));
  if (stranger !== undefined) throw refused(`names shard ${stranger}, which the topology does not have`);
  return saved;
};

const requireSlotMap = async (control: pg.Pool): Promise<readonly SlotMapRow[]> => {
  const map = await readSlotMap(control);
  if (map === undefined)
    throw new AppError('shard-unavailable', 'the slot map is not filled yet; the migration of shard 0 fills it');
  return map;
};

/** Those that services use, and those that wait for their migration to be admitted. */
const declaredShards = ({shards, joining}: Topology): Topology['shards'] => [...shards, ...joining];

/** The topology, once it lists the shard: the pod may be older than the file that it will soon see. */
const listing = async ({shardId, topology, now, deadlineMs, log}: MigrationJob): Promise<Topology> => {
  const giveUpAt = now() + Math.min(deadlineMs, LISTED_MS);
  for (;;) {
    const current = topology();
    const known = declaredShards(current).map(({id}) => id);
    if (known.includes(shardId)) return current;
    const problem = `the topology has no shard ${shardId}; it has ${known.join(', ')}`;
    if (now() > giveUpAt) throw new AppError('config-invalid', problem);
    log.info({waitingFor: 'the topology', reason: problem}, 'not ready yet');
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
};

const targetOf = async (topology: Topology, secrets: Secrets, shardId: number): Promise<MigrationTarget> => {
  const shard = declaredShards(topology).find(({id}) => id === shardId);
  if (shard === undefined) throw new AppError('config-invalid', `the topology has no shard ${shardId}`);
  const folder = shardSecretFolder(shardId);
  return {
    ...shard.rw,
    database: shard.database,
    user: await secrets.read(folder, SECRET_KEYS.shard.username),
    password: await secrets.read(folder, SECRET_KEYS.shard.password),
  };
};

const poolOf = (target: MigrationTarget): pg.Pool => {
  const pool = new pg.Pool({
    ...target,
    ...MIGRATION_CONNECTION,
    max: MIGRATION_CONTROL_CONNECTIONS,
    application_name: 'migrate',
    types: PG_TYPES,
  });
  // A lost idle connection is replaced by the next query, which then says what is wrong.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
};

const retry = async <T>(
  job: MigrationJob,
  giveUpAt: () => number,
  what: string,
  attempt: () => Promise<T>,
  mayPass: (error: unknown) => boolean = isSystemicDatabaseFault,
): Promise<T> => {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      // A server that starts refuses or resets connections for a while.
      if (!mayPass(error)) throw error;
      if (job.now() > giveUpAt()) {
        throw new AppError('shard-unavailable', `${what} did not become ready within ${job.deadlineMs} ms`, {
          cause: error,
        });
      }
      job.log.info({waitingFor: what, reason: describeError(error)}, 'not ready yet');
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
};
