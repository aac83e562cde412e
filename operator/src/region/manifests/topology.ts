import {PORTS} from '@pisync/contract/ports';
import {type Topology} from '@pisync/contract/topology';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {metadataOf} from '../labels.ts';
import {DATABASE} from '../names.ts';

/** Numbers of the shards, in order. */
export const shardIds = ({spec}: RegionContext): readonly number[] =>
  Array.from({length: spec.postgres.shards}, (_, id) => id);

/** The region as its services see it. */
export const topologyOf = (context: RegionContext): Topology => {
  const {spec, name, names} = context;
  return {
    region: spec.region,
    name,
    shards: shardIds(context).map((id) => ({
      id,
      rw: {host: names.shardReadWrite(id), port: PORTS.postgres},
      database: DATABASE,
    })),
    joining: [],
    broker: {
      host: names.rabbitmq,
      port: PORTS.amqp,
      vhost: '/',
      partitions: spec.rabbitmq.partitions,
      replicas: spec.rabbitmq.replicas,
    },
    redis: {host: names.redis, port: PORTS.redis},
    capacity: spec.capacity,
    retention: spec.retention,
  };
};

export const topologyConfigMap = (context: RegionContext): Desired => ({
  manifest: {
    ...KINDS.configMap,
    metadata: metadataOf(context, context.names.topology, 'configuration'),
    data: {'topology.json': `${JSON.stringify(topologyOf(context), null, 2)}\n`},
  },
});

/** Made empty, so that the keeper needs no right to create ConfigMaps; what is in it belongs to the keeper. */
export const factsConfigMap = (context: RegionContext): Desired => ({
  manifest: {
    ...KINDS.configMap,
    metadata: metadataOf(context, context.names.facts, 'configuration'),
    data: {},
  },
  onceFields: ['data'],
});
