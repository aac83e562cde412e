import {MAX_BROKER_NODES, MAX_SHARDS} from '@pisync/contract/limits';
import {hashOf} from './hash.ts';
import {type ChildKind} from './kinds.ts';

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
  audit: `${name}-audit`,
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

/** Whether a migration Job of the region may have this name, whatever the image. */
export const isMigrationOf = (region: string, name: string): boolean =>
  name.startsWith(migrationsOf(region)) && /^\d{1,5}-[0-9a-f]{6}$/.test(name.slice(migrationsOf(region).length));

const apis = ({deviceApi, adminApi}: Names) => [deviceApi, adminApi];
const scaled = (names: Names) => [...apis(names), names.worker];
const dataTiers = ({postgres, rabbitmq, redis}: Names) => [postgres, rabbitmq, redis];
const keeper = (names: Names) => [names.keeper];
const isNode = (id: number): boolean => id < MAX_BROKER_NODES;

/** `ids`: of shards, or of nodes of the broker. */
type NamesOfKind = (names: Names, ids: readonly number[]) => readonly string[];

/** The names under which a region has objects of a kind, whatever its spec and in whichever state it is. */
const NAMES_BY_KIND: Readonly<Record<ChildKind['kind'], NamesOfKind>> = {
  ConfigMap: (names) => [names.topology, names.facts, ...dataTiers(names)],
  Secret: ({shard, rabbitmq, redis, signing, audit, bootstrap}, ids) => [
    ...ids.map(shard),
    rabbitmq,
    redis,
    signing,
    audit,
    bootstrap,
  ],
  Service: (names, ids) => [
    ...ids.flatMap((id) => [names.shard(id), names.shardReadWrite(id)]),
    ...apis(names),
    names.rabbitmq,
    names.rabbitmqNodes,
    names.redis,
  ],
  ServiceAccount: keeper,
  // Nobody knows what they are called.
  Pod: () => [],
  PersistentVolumeClaim: ({shardVolume, rabbitmqVolume}, ids) => [
    ...ids.map(shardVolume),
    ...ids.filter(isNode).map(rabbitmqVolume),
  ],
  Deployment: (names) => [...scaled(names), names.keeper, names.redis],
  StatefulSet: ({shard, rabbitmq}, ids) => [...ids.map(shard), rabbitmq],
  Job: ({migration}, ids) => ids.map(migration),
  HorizontalPodAutoscaler: scaled,
  PodDisruptionBudget: scaled,
  NetworkPolicy: (names) => [...scaled(names), names.keeper, names.migrations, ...dataTiers(names)],
  Ingress: apis,
  HTTPRoute: apis,
  Role: keeper,
  RoleBinding: keeper,
};

const BY_KIND: ReadonlyMap<string, NamesOfKind> = new Map(Object.entries(NAMES_BY_KIND));

/**
 * Whether a child of this kind may have this name, whatever the spec: of all shards that there may be, as those that it does not name any more are still known.
 * Of migration Jobs only those of the image that `names` are for; of all images there are names without number.
 */
export const isNameOf = (names: Names, kind: string, name: string): boolean => {
  // An id is the last part of a name or the one before. Of all numbers in a name there may be a hundred, and each costs a hash.
  const ids = name
    .split('-')
    .slice(-2)
    .map(Number)
    .filter((id) => Number.isInteger(id) && id < MAX_SHARDS);
  return BY_KIND.get(kind)?.(names, ids).includes(name) === true;
};

/** Name of the volume claim template of data tiers. */
export const DATA_VOLUME = 'data';
