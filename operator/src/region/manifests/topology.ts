import {PORTS} from '@pisync/contract/ports';
import {type Topology} from '@pisync/contract/topology';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {metadataOf} from '../labels.ts';
import {DATABASE} from '../names.ts';
import {shardIds} from '../shards.ts';

/** The region as its services see it. */
export const topologyOf = (context: RegionContext): Topology => {
  const {spec, name, names, admitted} = context;
  const shards = shardIds(context).map((id) => ({
    id,
    rw: {host: names.shardReadWrite(id), port: PORTS.postgres},
    database: DATABASE,
  }));
  // Shard 0 is there from the beginning: it has the control schema.
  const [used, rest] = [shards.slice(0, Math.max(1, admitted)), shards.slice(Math.max(1, admitted))];
  return {
    region: spec.region,
    name,
    ...(spec.ingress.host === undefined ? {} : {deviceHost: spec.ingress.host}),
    shards: used,
    joining: rest,
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

const FILE = 'topology.json';

const textOf = (context: RegionContext): string => `${JSON.stringify(topologyOf(context), null, 2)}\n`;

export const topologyConfigMap = (context: RegionContext): Desired => ({
  manifest: {
    ...KINDS.configMap,
    metadata: metadataOf(context, context.names.topology, 'configuration'),
    data: {[FILE]: textOf(context)},
  },
});

/** Whether a pod that starts now reads what is meant. */
export const isTopologyWritten = (context: RegionContext): boolean =>
  context.children.configMap(context.names.topology)?.[FILE] === textOf(context);

/** Made empty, so that the keeper needs no right to create ConfigMaps; what is in it belongs to the keeper. */
export const factsConfigMap = (context: RegionContext): Desired => ({
  manifest: {
    ...KINDS.configMap,
    metadata: metadataOf(context, context.names.facts, 'configuration'),
    data: {},
  },
  onceFields: ['data'],
});
