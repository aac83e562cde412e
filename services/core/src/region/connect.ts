import {SECRET_KEYS} from '@pisync/contract/files';
import {type BrokerConnection, openBrokerConnection} from '../broker/connection.ts';
import {createPublisher, type Publisher, type PublisherOptions} from '../broker/publisher.ts';
import {type Cache, openCache} from '../cache/cache.ts';
import {type SharedConfig} from '../config/shared.ts';
import {describeError} from '../errors/app-error.ts';
import {type Service} from '../lifecycle/run-service.ts';
import {openSecrets} from '../secrets/secrets.ts';
import {openShards, type PoolSizes, type Shards} from '../shards/shards.ts';
import {openTopologyFile, type TopologyFile} from '../topology/topology-file.ts';

/**
 * What the services of a region stand on. The topology says where it is, the mounted Secrets how to sign in; what a function
 * opens closes with the service's life, so call them in the order in which one needs the other.
 */
type RegionService = Service<SharedConfig>;

/** @throws AppError `config-invalid` when there is no usable topology yet. */
export const followTopology = ({config, life, log}: RegionService): Promise<TopologyFile> =>
  life.own(
    'topology',
    () =>
      openTopologyFile({
        path: config.topologyFile,
        onProblem: (error) =>
          log.error({reason: describeError(error)}, 'the topology cannot be used; the last good one stays'),
      }),
    (file) => file.stop(),
  );

/** Pools on every shard, in pg_stat_activity under the pod's name. Succeeds while databases are down. */
export const connectShards = (
  {config, life, log, registry}: RegionService,
  topology: TopologyFile,
  sizes: PoolSizes,
): Promise<Shards> =>
  life.own(
    'shards',
    () =>
      openShards({
        topology,
        secretsDir: config.secretsDir,
        slotMapFile: config.slotMapFile,
        applicationName: config.podName,
        log,
        metrics: registry,
        sizes,
      }),
    (shards) => shards.close(),
  );

/** Succeeds while Redis is down. @param now monotonic milliseconds. */
export const connectCache = (
  {config, life, log, registry}: RegionService,
  topology: TopologyFile,
  now: () => number,
): Promise<Cache> =>
  life.own(
    'cache',
    () =>
      openCache({
        endpoint: topology.current().redis,
        password: () => openSecrets(config.secretsDir).read('redis', SECRET_KEYS.redis.password),
        log,
        registry,
        now,
      }),
    (cache) => cache.close(),
  );

/** One connection to the broker, in its list as `<pod>/<purpose>`. Succeeds while the broker is down. */
export const connectBroker = (
  {config, life, log}: RegionService,
  topology: TopologyFile,
  {purpose, random}: {readonly purpose: string; readonly random: () => number},
): Promise<BrokerConnection> => {
  const secrets = openSecrets(config.secretsDir);
  return life.own(
    `broker connection for ${purpose}`,
    () =>
      openBrokerConnection({
        address: async () => {
          const {host, port, vhost} = topology.current().broker;
          const username = await secrets.read('rabbitmq', SECRET_KEYS.rabbitmq.username);
          const password = await secrets.read('rabbitmq', SECRET_KEYS.rabbitmq.password);
          return {host, port, vhost, username, password};
        },
        name: `${config.podName}/${purpose}`,
        log,
        random,
      }),
    (connection) => connection.close(),
  );
};

export const openPublisher = (
  {life, log, registry}: RegionService,
  channel: Pick<PublisherOptions, 'connection' | 'declare' | 'confirmTimeoutMs'>,
): Promise<Publisher> =>
  life.own(
    'publisher',
    () => createPublisher({...channel, log, registry}),
    (publisher) => publisher.close(),
  );
