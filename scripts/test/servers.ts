import {stringify} from 'yaml';

/** Namespace of the servers that integration tests talk to. They hold nothing worth keeping. */
export const SERVERS_NAMESPACE = 'pisync-test-servers';

/** Node ports, so that a test reaches a server at any node's address, on the bare cluster as on kind. */
const NODE_PORTS = {postgres: 30432, rabbitmq: 30672, redis: 30379} as const;

const SECURITY = {
  pod: {runAsNonRoot: true, runAsUser: 999, runAsGroup: 999, fsGroup: 999, seccompProfile: {type: 'RuntimeDefault'}},
  container: {allowPrivilegeEscalation: false, capabilities: {drop: ['ALL']}},
};

/** What each server is started with: only its own programs, so that official images and ours both do. */
const START: Readonly<Record<keyof typeof NODE_PORTS, {readonly port: number; readonly script: string}>> = {
  postgres: {
    port: 5432,
    script: `printf postgres > /tmp/password
initdb -D /data/pg -U postgres --pwfile=/tmp/password --auth=scram-sha-256 --no-sync >/dev/null
echo 'host all all all scram-sha-256' >> /data/pg/pg_hba.conf
exec postgres -D /data/pg -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync="$FSYNC" -c max_connections=400 -c max_locks_per_transaction=256`,
  },
  rabbitmq: {
    port: 5672,
    script: `printf 'listeners.tcp.default = 5672\\nloopback_users = none\\nlog.console = true\\n' > /tmp/rabbitmq.conf
export PATH=/usr/lib/rabbitmq/bin:$PATH HOME=/data RABBITMQ_CONFIG_FILE=/tmp/rabbitmq RABBITMQ_MNESIA_BASE=/data/mnesia RABBITMQ_LOG_BASE=/data/log RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_ENABLED_PLUGINS_FILE=/data/plugins
echo '[].' > /data/plugins
exec rabbitmq-server`,
  },
  redis: {port: 6379, script: `exec redis-server --bind '*' --protected-mode no --save '' --dir /data`},
};

/** `fast`: a crash loses data, which no test asks for. `durable`: as in a region, for whoever measures. */
export type Durability = 'fast' | 'durable';

/** On the namespace: the process that uses the servers. */
export const HOLDER = 'pisync.io/holder';

/** Manifests of the three servers, as a YAML stream. @param holder process id of whoever uses them */
export function serverManifests(
  images: Readonly<Record<keyof typeof NODE_PORTS, string>>,
  durability: Durability,
  holder: number,
): string {
  const annotations = {[HOLDER]: String(holder)};
  const documents: unknown[] = [
    {apiVersion: 'v1', kind: 'Namespace', metadata: {name: SERVERS_NAMESPACE, annotations}},
  ];
  for (const name of ['postgres', 'rabbitmq', 'redis'] as const) {
    const {port, script} = START[name];
    const metadata = {name, namespace: SERVERS_NAMESPACE, labels: {app: name}};
    documents.push(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata,
        spec: {
          replicas: 1,
          strategy: {type: 'Recreate'},
          selector: {matchLabels: {app: name}},
          template: {
            metadata: {labels: {app: name}},
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              terminationGracePeriodSeconds: 2,
              securityContext: SECURITY.pod,
              containers: [
                {
                  name,
                  image: images[name],
                  imagePullPolicy: 'IfNotPresent',
                  command: ['/bin/sh', '-ec', script],
                  // Not "on" and "off", which kubectl's YAML takes for booleans when they stand without quotes.
                  env: [{name: 'FSYNC', value: String(durability === 'durable')}],
                  ports: [{containerPort: port}],
                  readinessProbe: {tcpSocket: {port}, periodSeconds: 1},
                  securityContext: SECURITY.container,
                  volumeMounts: [{name: 'data', mountPath: '/data'}],
                },
              ],
              // A disk that others are busy with would decide how long a queue takes to declare.
              volumes: [{name: 'data', emptyDir: durability === 'durable' ? {} : {medium: 'Memory'}}],
            },
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata,
        spec: {type: 'NodePort', selector: {app: name}, ports: [{port, nodePort: NODE_PORTS[name]}]},
      },
    );
  }
  return documents.map((document) => stringify(document)).join('---\n');
}

/** The environment that integration tests read, for servers behind the node with this address. */
export const serverAddresses = (nodeAddress: string): Readonly<Record<string, string>> => ({
  PISYNC_TEST_POSTGRES_URL: `postgres://postgres:postgres@${nodeAddress}:${NODE_PORTS.postgres}/postgres`,
  PISYNC_TEST_AMQP_URL: `amqp://guest:guest@${nodeAddress}:${NODE_PORTS.rabbitmq}/`,
  PISYNC_TEST_REDIS_URL: `redis://${nodeAddress}:${NODE_PORTS.redis}/0`,
});
