import {type Command, ENV} from '@pisync/contract/env';
import {SLOT_MAP_KEY} from '@pisync/contract/facts';
import {FILES, SECRET_KEYS, shardSecretFolder} from '@pisync/contract/files';
import {OPS_PATHS, PORTS} from '@pisync/contract/ports';
import {basename, dirname} from 'node:path/posix';
import {type Resources} from '../../api/v1alpha1/quantity.ts';
import {type RegionContext} from '../context.ts';
import {hashOf} from '../hash.ts';
import {configMapVolume, emptyDir, type PodShape, type PodVolume} from './pod.ts';
import {mountedShardIds} from '../shards.ts';

/** The user of the image of PiSync's services. */
const SERVICE_UID = 10_001;

/** Folders below the mount point of Secrets, besides the shards'. */
type SecretFolder = 'rabbitmq' | 'redis' | 'admin-token' | 'enrolment-token' | 'signing' | 'audit';

interface ServicePod {
  readonly command: Command;
  readonly args?: readonly string[];
  readonly resources: Resources;
  readonly logLevel: string;
  /** Beyond the shards' credentials, which every service needs. */
  readonly secrets: readonly SecretFolder[];
  /** Those without which it cannot start. Default: none, and it gets all that services use or are about to use. */
  readonly shards?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
}

interface SecretSource {
  readonly name: string;
  readonly folder: string;
  readonly keys: readonly string[];
  /**
   * Read at each use, and no server has to agree with it, so another value is no reason for a restart. What is mounted in a running pod is up to a minute and a
   * half behind; for as long the pods of admin-api may have different signing keys, and a session that was made at one is a 401 at the other. A password has to be
   * the one that the server takes since its own restart: a new pod has it at once.
   */
  readonly followed?: true;
  /** A pod may start without it. */
  readonly optional?: true;
}

const secretSources = (
  context: RegionContext,
  {secrets: folders, shards: required}: ServicePod,
): readonly SecretSource[] => {
  const {names} = context;
  const {rabbitmq, redis, bootstrap, signing, audit, shard} = SECRET_KEYS;
  const others: Readonly<Record<SecretFolder, SecretSource>> = {
    // Not the cookie: with it one could run code in the broker.
    rabbitmq: {name: names.rabbitmq, folder: 'rabbitmq', keys: [rabbitmq.username, rabbitmq.password]},
    redis: {name: names.redis, folder: 'redis', keys: [redis.password]},
    // Each service the token that it compares with.
    'admin-token': {name: names.bootstrap, folder: 'bootstrap', keys: [bootstrap.adminToken], followed: true},
    'enrolment-token': {name: names.bootstrap, folder: 'bootstrap', keys: [bootstrap.enrolmentToken], followed: true},
    signing: {name: names.signing, folder: 'signing', keys: [signing.key], followed: true},
    audit: {name: names.audit, folder: 'audit', keys: [audit.key], followed: true},
  };
  return [
    ...(required ?? mountedShardIds(context)).map((id) => ({
      name: names.shard(id),
      folder: shardSecretFolder(id),
      keys: [shard.username, shard.password],
      // One shard is no reason for a service not to start for the others.
      ...(required === undefined ? {optional: true as const} : {}),
    })),
    ...folders.map((folder) => others[folder]),
  ];
};

const secretsVolume = (sources: readonly SecretSource[]): PodVolume => ({
  name: 'secrets',
  mountPath: FILES.secrets,
  readOnly: true,
  source: {
    projected: {
      defaultMode: 0o440,
      sources: sources.map(({name, folder, keys, optional}) => ({
        secret: {
          name,
          ...(optional === undefined ? {} : {optional}),
          items: keys.map((key) => ({key, path: `${folder}/${key}`})),
        },
      })),
    },
  },
});

/** Only this key, so that facts, which change every minute, are not written into every pod; the keeper has not written it yet in a new region. */
const slotMapVolume = ({names}: RegionContext): PodVolume => ({
  name: 'facts',
  mountPath: dirname(FILES.slotMap),
  readOnly: true,
  source: {configMap: {name: names.facts, optional: true, items: [{key: SLOT_MAP_KEY, path: basename(FILES.slotMap)}]}},
});

const environment = (context: RegionContext, {logLevel, env}: ServicePod): readonly object[] => {
  const {endpoint, sampleRatio} = context.spec.monitoring.tracing;
  const plain = {
    [ENV.logLevel]: logLevel,
    ...(endpoint === undefined ? {} : {[ENV.tracingEndpoint]: endpoint, [ENV.tracingSampleRatio]: String(sampleRatio)}),
    ...env,
  };
  return [
    {name: ENV.podName, valueFrom: {fieldRef: {fieldPath: 'metadata.name'}}},
    {name: ENV.podNamespace, valueFrom: {fieldRef: {fieldPath: 'metadata.namespace'}}},
    // Kubernetes replaces `$(NAME)` in a value, and takes `$$` for a dollar sign.
    ...Object.entries(plain).map(([name, value]) => ({name, value: value.replaceAll('$', '$$$$')})),
  ];
};

/** What the pods of all services and of migrations have in common. */
export const servicePod = (
  context: RegionContext,
  service: ServicePod,
): Pick<PodShape, 'image' | 'command' | 'env' | 'resources' | 'configHash' | 'volumes' | 'userId'> => {
  const sources = secretSources(context, service);
  return {
    image: context.images.service,
    command: ['node', '/app/main.mjs', service.command, ...(service.args ?? [])],
    env: environment(context, service),
    resources: service.resources,
    // Of the topology only what a process reads once; it follows the rest.
    configHash: hashOf([
      context.spec.rabbitmq.partitions,
      sources.flatMap(({name, keys, followed}) => (followed ? [] : [context.children.secretValues(name, keys)])),
    ]),
    userId: SERVICE_UID,
    volumes: [
      configMapVolume('topology', dirname(FILES.topology), context.names.topology),
      secretsVolume(sources),
      slotMapVolume(context),
      emptyDir('tmp', '/tmp'),
    ],
  };
};

/** Live checks nothing outside the process; ready checks what it depends on. */
export const serviceProbes: NonNullable<PodShape['probes']> = {
  startupProbe: {
    httpGet: {path: OPS_PATHS.live, port: 'ops'},
    periodSeconds: 1,
    timeoutSeconds: 2,
    failureThreshold: 120,
  },
  livenessProbe: {
    httpGet: {path: OPS_PATHS.live, port: 'ops'},
    periodSeconds: 10,
    timeoutSeconds: 5,
    failureThreshold: 3,
  },
  readinessProbe: {
    httpGet: {path: OPS_PATHS.ready, port: 'ops'},
    periodSeconds: 5,
    timeoutSeconds: 4,
    failureThreshold: 2,
  },
};

export const opsPort = {name: 'ops', containerPort: PORTS.ops} as const;
export const httpPort = {name: 'http', containerPort: PORTS.http} as const;
