import {PORTS} from '@pisync/contract/ports';
import {quantityBytes} from '../../../api/v1alpha1/quantity.ts';
import {type Desired} from '../../../kube/controller.ts';
import {type RegionContext} from '../../context.ts';
import {KINDS} from '../../kinds.ts';
import {metadataOf} from '../../labels.ts';
import {DOUBLE_QUOTED} from '../shell-quoting.ts';
import {smallestVolume} from '../volume-claims.ts';

export const PATHS = {
  home: '/var/lib/rabbitmq',
  config: '/etc/pisync/rabbitmq',
  secret: '/etc/pisync/secrets',
  run: '/run/pisync',
} as const;

const MIB = 1024 ** 2;

const brokerConf = ({spec}: RegionContext): string => {
  const memory = quantityBytes(spec.rabbitmq.resources.limits.memory);
  return `# Written by the operator.
listeners.tcp.default = ${PORTS.amqp}
log.console = true
log.console.level = info
log.file = false
# The kubelet's probes open and close a connection every few seconds.
log.connection.level = error
# Publishers are held back here, well before the kernel would kill the broker.
vm_memory_high_watermark.absolute = ${Math.floor(memory * 0.6)}
# The log of the quorum queues is also in memory until it is rolled: an eighth of the limit (the default of 512 MiB would not fit).
raft.wal_max_size_bytes = ${Math.max(16 * MIB, Math.floor(memory / 8))}
cluster_partition_handling = pause_minority
# Users and permissions, read at every start, so that a changed password takes effect.
definitions.import_backend = local_filesystem
definitions.local.path = ${PATHS.run}/definitions.json
`;
};

/**
 * Publishers are held back while there is still room to write what is accepted already: a tenth of the smallest volume, since all nodes read this. Not among the settings that restart the broker: it is for its next start, as the volume has
 * grown by then or not.
 */
const diskConf = (context: RegionContext): string =>
  `disk_free_limit.absolute = ${Math.floor(smallestVolume(context, 'rabbitmq') / 10)}\n`;

const START = `#!/bin/sh
# Puts the credentials where the broker wants them and becomes the broker.
set -eu
umask 077
# Erlang makes room for as many files as it may open, which is a thousand million on some nodes.
files=$(ulimit -n)
if [ "$files" = unlimited ] || [ "$files" -gt 65536 ]; then ulimit -n 65536; fi
mkdir -p ${PATHS.run}/log

# Erlang refuses a cookie that anybody else may read.
cat ${PATHS.secret}/erlang-cookie > ${PATHS.home}/.erlang.cookie.new
chmod 400 ${PATHS.home}/.erlang.cookie.new
mv -f ${PATHS.home}/.erlang.cookie.new ${PATHS.home}/.erlang.cookie

user=$(cat ${PATHS.secret}/username)
password=$(${DOUBLE_QUOTED} ${PATHS.secret}/password)
cat > ${PATHS.run}/definitions.json <<JSON
{
  "vhosts": [{"name": "/"}],
  "users": [{"name": "$user", "password": "$password", "tags": ""}],
  "permissions": [{"user": "$user", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]
}
JSON
unset password
printf '[].\\n' > ${PATHS.run}/enabled_plugins
cat ${PATHS.config}/rabbitmq.conf ${PATHS.config}/disk.conf > ${PATHS.run}/rabbitmq.conf

# Debian wraps the server in a script that wants to change the user; the real one lies below.
if [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then exec /usr/lib/rabbitmq/bin/rabbitmq-server; fi
exec rabbitmq-server
`;

/** What the broker is started with; another one restarts it. */
export const rabbitmqFiles = (context: RegionContext): Readonly<Record<string, string>> => ({
  'rabbitmq.conf': brokerConf(context),
  'start.sh': START,
});

export const rabbitmqConfigMap = (context: RegionContext): Desired => ({
  manifest: {
    ...KINDS.configMap,
    metadata: metadataOf(context, context.names.rabbitmq, 'rabbitmq'),
    data: {...rabbitmqFiles(context), 'disk.conf': diskConf(context)},
  },
});
