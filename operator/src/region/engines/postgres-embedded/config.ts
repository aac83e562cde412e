import {PORTS} from '@pisync/contract/ports';
import {quantityBytes} from '../../../api/v1alpha1/quantity.ts';
import {type Desired} from '../../../kube/controller.ts';
import {type RegionContext} from '../../context.ts';
import {KINDS} from '../../kinds.ts';
import {metadataOf} from '../../labels.ts';
import {DATABASE, USER} from '../../names.ts';
import {smallestVolume} from '../volume-claims.ts';
import {maxConnections} from './max-connections.ts';
import {readyScript, type ShardPaths, startScript, stopScript} from './scripts.ts';

/** Where things are in the pod. The image only brings programs; every path here is a volume. */
export const PATHS = {
  volume: '/var/lib/postgresql/data',
  data: '/var/lib/postgresql/data/pgdata',
  socket: '/var/run/postgresql',
  config: '/etc/pisync/postgres',
  secret: '/etc/pisync/secrets',
  lastWords: '/dev/termination-log',
  programs: '/usr/lib/postgresql/*/bin',
} as const satisfies ShardPaths;

const MIB = 1024 ** 2;

/** Values in postgresql.conf are quoted. Between quotes a backslash begins an escape (`\n`, `\101`), so it is doubled as a quote is. */
const line = ([name, value]: readonly [string, string]): string => `${name} = '${value.replaceAll(/['\\]/g, '$&$&')}'`;

/** A writer locks up to 1024 slots in one transaction: room for 75 such writers at once. */
const LOCKS = 76_800;
/** PostgreSQL's default. */
const LEAST_LOCKS_PER_TRANSACTION = 64;

const CHECKPOINT_SECONDS = 600;
/** Measured: 7 to 15 KB a sync of 20 records, by how seldom its pages come again. */
const WAL_PER_SYNC = 15_000;
const LEAST_WAL_MIB = 1024;

/**
 * Room for twice what devices make from one checkpoint to the next in the region's window, so that checkpoints go by time: each one makes the log longer. At most a
 * quarter of a volume. It doubles, and does not go by the number of shards, because each other number restarts them.
 */
export const maxWalMegabytes = (context: RegionContext): number => {
  const {capacity} = context.spec;
  const perSecond = capacity.devices / (capacity.syncWindow.durationMinutes * 60);
  const wished = Math.max(LEAST_WAL_MIB, (2 * CHECKPOINT_SECONDS * perSecond * WAL_PER_SYNC) / MIB);
  const room = smallestVolume(context, 'postgres') / 4 / MIB;
  return Math.max(128, 2 ** Math.floor(Math.log2(Math.min(2 ** Math.ceil(Math.log2(wished)), room))));
};

const serverConf = (context: RegionContext): string => {
  const {spec} = context;
  const connections = maxConnections(context);
  const memoryMiB = Math.floor(quantityBytes(spec.postgres.resources.limits.memory) / MIB);
  const defaults = {
    listen_addresses: '*',
    port: String(PORTS.postgres),
    unix_socket_directories: PATHS.socket,
    password_encryption: 'scram-sha-256',
    // PostgreSQL's own advice: a quarter of the memory; the rest is the page cache's and the connections'.
    shared_buffers: `${Math.max(32, Math.floor(memoryMiB / 4))}MB`,
    effective_cache_size: `${Math.max(64, Math.floor((memoryMiB * 3) / 4))}MB`,
    max_connections: String(connections),
    // Shared by all connections. The server keeps memory for them, so they do not grow with the connections.
    max_locks_per_transaction: String(Math.max(LEAST_LOCKS_PER_TRANSACTION, Math.ceil(LOCKS / connections))),
    wal_level: 'replica',
    fsync: 'on',
    full_page_writes: 'on',
    // An acknowledged batch is on disk.
    synchronous_commit: 'on',
    // As small as by pglz, the usual one, in a seventh of the time.
    wal_compression: 'lz4',
    max_wal_size: `${maxWalMegabytes(context)}MB`,
    checkpoint_timeout: `${CHECKPOINT_SECONDS}s`,
    // Connections whose other end has vanished hold slot locks until they are noticed.
    tcp_keepalives_idle: '30',
    tcp_keepalives_interval: '10',
    tcp_keepalives_count: '3',
    tcp_user_timeout: '60s',
    idle_in_transaction_session_timeout: '5min',
    log_destination: 'stderr',
    logging_collector: 'off',
    log_line_prefix: '%m [%p] %q%u@%d ',
    log_checkpoints: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
  };
  return `${Object.entries({...defaults, ...spec.postgres.parameters})
    .map(line)
    .join('\n')}\n`;
};

/** Inside the pod only its own container reaches the socket; over the network a password it is. */
const HBA = `# type  database  user      address  method
local   all       all                trust
host    ${DATABASE}    ${USER}    all      scram-sha-256
`;

const files = (context: RegionContext): Readonly<Record<string, string>> => ({
  'postgresql.conf': serverConf(context),
  'pg_hba.conf': HBA,
  'start.sh': startScript(PATHS),
  'stop.sh': stopScript(PATHS),
  'ready.sh': readyScript(PATHS),
});

/** Settings and start-up programs of all shards. Scripts use only the server's own programs, so any image of PostgreSQL will do. */
export const postgresConfigMap = (context: RegionContext): Desired => ({
  manifest: {
    ...KINDS.configMap,
    metadata: metadataOf(context, context.names.postgres, 'postgres'),
    data: files(context),
  },
});
