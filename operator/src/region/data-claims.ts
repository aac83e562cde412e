import {MAX_BROKER_NODES, MAX_SHARDS} from '@pisync/contract/limits';
import {z} from 'zod';
import {namesOf} from './names.ts';

/** A volume claim that a region should have: its StatefulSets make it, or take one of that name which is there already. */
export interface DataClaim {
  readonly name: string;
  readonly component: 'postgres' | 'rabbitmq';
  /** Name of the StatefulSet. */
  readonly set: string;
  /** Number of the shard or of the broker node. */
  readonly id: number;
}

/** Of a spec that need not be valid. */
const schema = z.object({
  postgres: z.object({shards: z.int().min(1).max(MAX_SHARDS).default(2)}).prefault({}),
  rabbitmq: z.object({replicas: z.int().min(1).max(MAX_BROKER_NODES).default(1)}).prefault({}),
});

const below = (count: number): readonly number[] => Array.from({length: count}, (_, id) => id);

/** All volumes of the region `name`. Whoever looks after volumes goes by this list. */
export const dataClaims = (name: string, spec: unknown): readonly DataClaim[] => {
  const declared = schema.safeParse(spec).data;
  if (declared === undefined) return [];
  const names = namesOf(name);
  return [
    ...below(declared.postgres.shards).map((id) => ({
      name: names.shardVolume(id),
      component: 'postgres' as const,
      set: names.shard(id),
      id,
    })),
    ...below(declared.rabbitmq.replicas).map((id) => ({
      name: names.rabbitmqVolume(id),
      component: 'rabbitmq' as const,
      set: names.rabbitmq,
      id,
    })),
  ];
};
