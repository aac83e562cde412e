import {PORTS} from '@pisync/contract/ports';
import {quantityBytes} from '../../../api/v1alpha1/quantity.ts';
import {type Desired} from '../../../kube/controller.ts';
import {type RegionContext} from '../../context.ts';
import {KINDS} from '../../kinds.ts';
import {metadataOf} from '../../labels.ts';
import {DATABASE, USER} from '../../names.ts';
import {SQL_QUOTED} from '../shell-quoting.ts';

/** Where things are in the pod. The image only brings programs; every path here is a volume. */
export const PATHS = {
  volume: '/var/lib/postgresql/data',
  data: '/var/lib/postgresql/data/pgdata',
  socket: '/var/run/postgresql',
  config: '/etc/pisync/postgres',
  secret: '/etc/pisync/secrets',
} as const;

const MIB = 1024 ** 2;

/** Values in postgresql.conf are quoted: a quote in them is doubled. */
const line = ([name, value]: readonly [string, string]): string => `${name} = '${value.replaceAll("'", "''")}'`;

const serverConf = ({spec}: RegionContext): string => {
  const memoryMiB = Math.floor(quantityBytes(spec.postgres.resources.limits.memory) / MIB);
  const defaults = {
    listen_addresses: '*',
    port: String(PORTS.postgres),
    unix_socket_directories: PATHS.socket,
    password_encryption: 'scram-sha-256',
    // PostgreSQL's own advice: a quarter of the memory; the rest is the page cache's and the connections'.
    shared_buffers: `${Math.max(32, Math.floor(memoryMiB / 4))}MB`,
    effective_cache_size: `${Math.max(64, Math.floor((memoryMiB * 3) / 4))}MB`,
    // 10 device-api + 6 admin-api + 16 workers with about 8 connections each, and room for migrations and people.
    max_connections: '300',
    // A writer locks up to 1024 slots in one transaction. 300 connections x 256 = 76,800 locks: 75 such writers at once.
    max_locks_per_transaction: '256',
    wal_level: 'replica',
    fsync: 'on',
    full_page_writes: 'on',
    // An acknowledged batch is on disk.
    synchronous_commit: 'on',
    wal_compression: 'on',
    max_wal_size: '1GB',
    checkpoint_timeout: '10min',
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

const PROGRAMS = `# Debian keeps the server's programs out of PATH.
for bin in /usr/lib/postgresql/*/bin; do [ -d "$bin" ] && PATH="$bin:$PATH"; done
`;

const START = `#!/bin/sh
# Makes the database on the first start, sets the user's password when it changed, and becomes the server.
set -eu
umask 077
${PROGRAMS}
data=${PATHS.data}
password=$(cat ${PATHS.secret}/password)

# Built beside its place and moved there when complete: a start that is interrupted begins anew.
if [ ! -s "$data/PG_VERSION" ]; then
  rm -rf "$data.new"
  initdb --pgdata="$data.new" --username=postgres --encoding=UTF8 --locale=C.UTF-8 --data-checksums \\
    --auth-local=trust --auth-host=scram-sha-256 >/dev/null
  postgres --single -j -D "$data.new" postgres >/dev/null <<SQL
create role ${USER} login;

create database ${DATABASE} owner ${USER};

SQL
  rm -rf "$data"
  mv "$data.new" "$data"
fi

# The stamp keeps a restart from writing, and the password itself out of the volume.
stamp=$(printf '%s' "$password" | sha256sum | cut -d' ' -f1)
if [ "$(cat "${PATHS.volume}/password.stamp" 2>/dev/null || true)" != "$stamp" ]; then
  printf "alter role ${USER} password '%s';\\n\\n" "$(printf '%s' "$password" | ${SQL_QUOTED})" | postgres --single -j -D "$data" postgres >/dev/null
  printf '%s' "$stamp" > "${PATHS.volume}/password.stamp"
fi
unset password

exec postgres -D "$data" -c config_file=${PATHS.config}/postgresql.conf -c hba_file=${PATHS.config}/pg_hba.conf
`;

const STOP = `#!/bin/sh
# SIGTERM alone would wait for every client to leave; fast ends their sessions and writes a checkpoint.
${PROGRAMS}
pg_ctl stop --pgdata=${PATHS.data} --mode=fast --wait --timeout=100
`;

const READY = `#!/bin/sh
${PROGRAMS}
exec pg_isready --quiet --host=${PATHS.socket} --username=${USER} --dbname=${DATABASE} --timeout=3
`;

const files = (context: RegionContext): Readonly<Record<string, string>> => ({
  'postgresql.conf': serverConf(context),
  'pg_hba.conf': HBA,
  'start.sh': START,
  'stop.sh': STOP,
  'ready.sh': READY,
});

/** Settings and start-up programs of all shards. Scripts use only the server's own programs, so any image of PostgreSQL will do. */
export const postgresConfigMap = (context: RegionContext): Desired => ({
  manifest: {
    ...KINDS.configMap,
    metadata: metadataOf(context, context.names.postgres, 'postgres'),
    data: files(context),
  },
});
