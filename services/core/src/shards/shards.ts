import {type Topology} from '@pisync/contract/topology';
import {shardSecretFolder, SECRET_KEYS} from '@pisync/contract/files';
import pg from 'pg';
import {Gauge, type Registry} from 'prom-client';
import {AppError, describeError} from '../errors/app-error.ts';
import {openSecrets} from '../secrets/secrets.ts';
import {type Logger} from '../telemetry/logger.ts';
import {type TopologyFile} from '../topology/topology-file.ts';
import {onceMore} from './once-more.ts';
import {PG_TYPES} from './pg-types.ts';
import {readSavedSlotMap} from './saved-slot-map.ts';
import {SESSION_OPTIONS} from './session-settings.ts';
import {type SlotOf, loadSlotHash} from './slot.ts';
import {createSlotMap, type SlotMap, type SlotMapRow} from './slot-map.ts';

/**
 * The classes of work. Each has its own pool per shard, so that a slow page cannot take the connections that devices
 * wait for, nor those over which it is found out who calls. `dashboard` reads from the read-only endpoint where the shard has one.
 */
type ShardUse = 'ingest' | 'dashboard' | 'job';
const SHARD_USES = ['ingest', 'dashboard', 'job'] as const satisfies readonly ShardUse[];

/** Connections per shard and process. */
export type PoolSizes = Readonly<Record<ShardUse, number>>;

/** Nothing of ingest takes seconds when healthy; a page is abandoned by its reader; a job may scan a partition. */
const STATEMENT_TIMEOUT_MS: PoolSizes = {ingest: 15_000, dashboard: 10_000, job: 300_000};
/**
 * For a lock that somebody holds: a row that a person looks at, or a table that is being changed. Writers hold theirs for milliseconds. Without this, calls that
 * concern one such row would soon have every connection of a pool, for as long as a statement may take. A job outlasts a writer that stands still.
 */
const LOCK_TIMEOUT_MS: PoolSizes = {ingest: 500, dashboard: 5_000, job: 10_000};
/**
 * A process that stands still in a transaction, or died without closing its socket, holds its row and slot locks for so long: batches of the same devices,
 * which another process has by then, wait for them. Between two statements of ingest lie milliseconds.
 */
const IDLE_IN_TRANSACTION_MS: PoolSizes = {ingest: 5_000, dashboard: 30_000, job: 30_000};
/** The server ends a statement first, unless it hangs or its node is gone: then the client does, and with it the connection. */
const QUERY_GRACE_MS = 1_000;
/** Longer than a TCP handshake over a bad network, shorter than a caller's patience. */
const CONNECT_TIMEOUT_MS = 3_000;
const IDLE_TIMEOUT_MS = 30_000;
/** A busy connection is never idle. So what a server has changed since it was made, the columns of a prepared statement for instance, is known everywhere after this. */
const MAX_LIFETIME_S = 600;
/** A move announces itself; the poll is for announcements that were lost. */
const SLOT_MAP_POLL_MS = 5_000;
/** A Secret is mounted in memory, so to look costs microseconds; the mount itself is up to a minute behind. */
const USER_POLL_MS = 1_000;

/** What the connections of a pool are at. */
export interface PoolLoad {
  /** Callers without one. */
  readonly waiting: number;
  /** How often one was given back after it had answered, since the process began. */
  readonly answered: number;
}

export interface Shards {
  /** Ascending; follows the topology. */
  readonly ids: () => readonly number[];
  /** @throws AppError `shard-unavailable` when the topology has no such shard, or its credentials are not mounted yet. */
  pool(shardId: number, use: ShardUse): pg.Pool;
  /** A shard that answers some of its callers while others wait for a connection is busy, and not away. */
  load(shardId: number, use: ShardUse): PoolLoad;
  /** The shard that holds the control schema. */
  control(use: ShardUse): pg.Pool;
  readonly slotMap: SlotMap;
  readonly slotOf: SlotOf;
  /** The shard that this process believes to own the device. */
  shardOfDevice(deviceId: string): number;
  /** Ends every pool after its running queries. */
  close(): Promise<void>;
}

export interface ShardsOptions {
  readonly topology: Pick<TopologyFile, 'current' | 'onChange'>;
  readonly secretsDir: string;
  /** Where the last slot map is kept outside of shard 0; none while undefined. */
  readonly slotMapFile?: string;
  /** Shown in pg_stat_activity: the pod's name. */
  readonly applicationName: string;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly sizes: PoolSizes;
}

/** Has the control schema. */
export const CONTROL_SHARD = 0;

/**
 * Opens pools on every shard of the topology and keeps the slot map. Succeeds while databases are down and while credentials are missing: pools connect
 * when used and the map is read again until it answers, so a process may start in any order.
 */
export const openShards = async (options: ShardsOptions): Promise<Shards> => {
  const {topology, log} = options;
  const secrets = openSecrets(options.secretsDir);
  const slotOf = await loadSlotHash();
  const pools = new Map<string, pg.Pool>();
  const answered = new Map<string, number>();
  /** As whom the pools of a shard connect. */
  const users = new Map<number, string>();
  const retiring = new Set<Promise<void>>();

  /** Asked when a shard is first used and at each connect, never before: a shard whose Secret is not mounted yet is nobody else's concern. */
  const credential = (shardId: number, key: keyof typeof SECRET_KEYS.shard): string => {
    try {
      return secrets.readNow(shardSecretFolder(shardId), SECRET_KEYS.shard[key]);
    } catch (error) {
      throw new AppError('shard-unavailable', `shard ${shardId} cannot be used at the moment`, {cause: error});
    }
  };

  const createPool = (shard: Topology['shards'][number], use: ShardUse): pg.Pool => {
    const {host, port} = use === 'dashboard' ? (shard.ro ?? shard.rw) : shard.rw;
    const user = users.get(shard.id) ?? credential(shard.id, 'username');
    users.set(shard.id, user);
    const pool = new pg.Pool({
      host,
      port,
      database: shard.database,
      user,
      // Read at each connect: a new one may be mounted, and count, before this process is restarted for it.
      password: () => credential(shard.id, 'password'),
      options: SESSION_OPTIONS,
      application_name: `${options.applicationName}/${use}`,
      max: options.sizes[use],
      statement_timeout: STATEMENT_TIMEOUT_MS[use],
      lock_timeout: LOCK_TIMEOUT_MS[use],
      query_timeout: STATEMENT_TIMEOUT_MS[use] + QUERY_GRACE_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS[use],
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      maxLifetimeSeconds: MAX_LIFETIME_S,
      keepAlive: true,
      // Statements that do not need each other's answers are sent in one go.
      pipeline: true,
      types: PG_TYPES,
    });
    // A client in use reports a lost connection both to the query that waits and as an event; unheard, the event would end
    // the process.
    pool.on('connect', (client) => client.on('error', () => undefined));
    // With an error, or true, after a failure.
    pool.on('release', (error: Error | boolean | undefined) => {
      const key = keyOf(shard.id, use);
      if (!error) answered.set(key, (answered.get(key) ?? 0) + 1);
    });
    pool.on('error', (error) => {
      log.warn({shard: shard.id, use, err: describeError(error)}, 'an idle connection to a shard was lost');
    });
    return pool;
  };

  const keyOf = (shardId: number, use: ShardUse): string => `${shardId}/${use}`;

  const pool = (shardId: number, use: ShardUse): pg.Pool => {
    const known = pools.get(keyOf(shardId, use));
    if (known !== undefined) return known;
    const shard = topology.current().shards.find(({id}) => id === shardId);
    if (shard === undefined || closed) {
      const reason = closed ? 'the process is closing' : 'the topology does not list it';
      throw new AppError('shard-unavailable', `shard ${shardId} cannot be used: ${reason}`);
    }
    const created = createPool(shard, use);
    pools.set(keyOf(shardId, use), created);
    return created;
  };

  const retire = (shardId: number): void => {
    users.delete(shardId);
    for (const use of SHARD_USES) {
      const old = pools.get(keyOf(shardId, use));
      if (old === undefined) continue;
      pools.delete(keyOf(shardId, use));
      const ending = old.end().finally(() => retiring.delete(ending));
      retiring.add(ending);
    }
  };

  let closed = false;
  const stopFollowing = topology.onChange((next, previous) => {
    for (const old of previous.shards) {
      const now = next.shards.find(({id}) => id === old.id);
      if (JSON.stringify(now) !== JSON.stringify(old)) retire(old.id);
    }
  });

  /** node-postgres asks for a password at each connect, but for no user. Where a Secret cannot be read, its user has not changed. */
  const followUsers = (): void => {
    for (const [shardId, user] of [...users]) {
      try {
        if (credential(shardId, 'username') === user) continue;
      } catch {
        continue;
      }
      log.info({shard: shardId}, 'the Secret of a shard names another user; its connections are made anew');
      retire(shardId);
    }
  };
  const following = setInterval(followUsers, USER_POLL_MS);
  following.unref();

  new Gauge({
    name: 'pisync_pg_pool_connections',
    help: 'Connections of a pool by state; waiting counts callers without one',
    labelNames: ['shard', 'use', 'state'] as const,
    registers: [options.metrics],
    collect() {
      this.reset();
      for (const [key, {totalCount, idleCount, waitingCount}] of pools) {
        const [shard = '', use = ''] = key.split('/');
        this.set({shard, use, state: 'busy'}, totalCount - idleCount);
        this.set({shard, use, state: 'idle'}, idleCount);
        this.set({shard, use, state: 'waiting'}, waitingCount);
      }
    },
  });

  const {slotMapFile} = options;
  const slotMap = createSlotMap(
    async () => {
      const found = await onceMore(() =>
        pool(CONTROL_SHARD, 'ingest').query<SlotMapRow>({
          name: 'slot-map',
          text: 'select slot, shard, epoch from control.slot_map order by slot',
        }),
      );
      return found.rows;
    },
    async () => (slotMapFile === undefined ? undefined : readSavedSlotMap(slotMapFile)),
  );
  const reloadQuietly = (): Promise<void> =>
    slotMap.reload().catch((error: unknown) => {
      log.warn(
        {version: slotMap.version(), err: describeError(error)},
        'the slot map could not be read; the last one stays',
      );
    });
  await reloadQuietly();
  const poll = setInterval(() => void reloadQuietly(), SLOT_MAP_POLL_MS);
  poll.unref();

  return {
    ids: () => topology.current().shards.map(({id}) => id),
    pool,
    load(shardId, use) {
      const key = keyOf(shardId, use);
      return {waiting: pools.get(key)?.waitingCount ?? 0, answered: answered.get(key) ?? 0};
    },
    control: (use) => pool(CONTROL_SHARD, use),
    slotMap,
    slotOf,
    shardOfDevice: (deviceId) => slotMap.shardOf(slotOf(deviceId)),
    async close() {
      closed = true;
      clearInterval(poll);
      clearInterval(following);
      stopFollowing();
      options.metrics.removeSingleMetric('pisync_pg_pool_connections');
      for (const key of [...pools.keys()]) retire(Number(key.split('/')[0]));
      await Promise.all(retiring);
    },
  };
};
