import {MAX_SHARDS} from '@pisync/contract/limits';
import {hashOf} from './hash.ts';

/** Name and user of every shard's database, and user of the broker. */
export const DATABASE = 'pisync';
export const USER = 'pisync';

/** Port of device-api and admin-api as their Services offer it. */
export const SERVICE_PORT = 80;

const migrationsOf = (name: string): string => `${name}-migrate-`;

/**
 * The names of everything that belongs to the region `name`. Nothing else in the operator joins strings to a name. `image`: that of the services; only it
 * knows its schema, so each image has migration Jobs of its own.
 */
export const namesOf = (name: string, image = '') => ({
  deviceApi: `${name}-device-api`,
  adminApi: `${name}-admin-api`,
  worker: `${name}-worker`,
  keeper: `${name}-keeper`,
  topology: `${name}-topology`,
  facts: `${name}-facts`,
  bootstrap: `${name}-bootstrap`,
  signing: `${name}-signing`,
  /** ConfigMap and NetworkPolicy of all shards together. */
  postgres: `${name}-postgres`,
  /** StatefulSet, headless Service and Secret of one shard. */
  shard: (id: number) => `${name}-pg-${id}`,
  /** The Service through which a shard is written and read. */
  shardReadWrite: (id: number) => `${name}-pg-${id}-rw`,
  /** The volume claims that the StatefulSets make, by these names or not at all. */
  shardVolume: (id: number) => `${DATA_VOLUME}-${name}-pg-${id}-0`,
  rabbitmq: `${name}-rabbitmq`,
  rabbitmqNodes: `${name}-rabbitmq-nodes`,
  rabbitmqVolume: (node: number) => `${DATA_VOLUME}-${name}-rabbitmq-${node}`,
  redis: `${name}-redis`,
  /** NetworkPolicy of all migrations together. */
  migrations: `${name}-migrate`,
  /** A name may have 63 characters, which leaves some for the hash. */
  migration: (shardId: number) => `${migrationsOf(name)}${shardId}-${hashOf(image).slice(0, 6)}`,
});

export type Names = ReturnType<typeof namesOf>;

const IDS: readonly number[] = Array.from({length: MAX_SHARDS}, (_, id) => id);

/** Whether a migration Job of the region may have this name, whatever the image. */
export const isMigrationOf = (region: string, name: string): boolean =>
  name.startsWith(migrationsOf(region)) && /^\d{1,5}-[0-9a-f]{6}$/.test(name.slice(migrationsOf(region).length));

/**
 * Whether a child of the region may have this name, whatever the spec. `image`: that of the services now; of all that there may be, there are
 * names of Jobs without number.
 */
export const isNameOf = (region: string, image: string, name: string): boolean => {
  const {shard, shardReadWrite, shardVolume, rabbitmqVolume, migration, ...fixed} = namesOf(region, image);
  const numbered = [shard, shardReadWrite, shardVolume, rabbitmqVolume];
  return (
    Object.values(fixed).includes(name) ||
    (isMigrationOf(region, name) && IDS.some((id) => migration(id) === name)) ||
    (name.includes(region) && IDS.some((id) => numbered.some((nameOf) => nameOf(id) === name)))
  );
};

/** Name of the volume claim template of data tiers. */
export const DATA_VOLUME = 'data';
