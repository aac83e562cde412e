/**
 * Environment variables of a region's services. The operator sets them on pods, but for the two paths, which are for processes elsewhere. None is secret.
 * A service's own `config.ts` documents what else it reads, with defaults.
 */
export const ENV = {
  /** `trace|debug|info|warn|error`, default info. */
  logLevel: 'PISYNC_LOG_LEVEL',
  /** Path of topology.json, default FILES.topology. */
  topologyFile: 'PISYNC_TOPOLOGY_FILE',
  /** Folder of mounted Secrets, default FILES.secrets. */
  secretsDir: 'PISYNC_SECRETS_DIR',
  /** The pod's name (downward API); names a process in logs, metrics and broker connections. */
  podName: 'PISYNC_POD_NAME',
  /** The pod's namespace (downward API). */
  podNamespace: 'PISYNC_POD_NAMESPACE',
  /** OTLP/HTTP endpoint for traces; tracing is off when unset. */
  tracingEndpoint: 'PISYNC_TRACING_ENDPOINT',
  /** Share of traces kept, 0..1. */
  tracingSampleRatio: 'PISYNC_TRACING_SAMPLE_RATIO',
  /** keeper only: the ConfigMap that it writes facts into. */
  factsConfigMap: 'PISYNC_FACTS_CONFIGMAP',
  /** worker only: how many windows of batches are applied to each shard at once. */
  workerConcurrency: 'PISYNC_WORKER_CONCURRENCY',
  /** migrate of shard 0 only: among how many shards the slots of a region that has none yet are shared out. */
  firstShards: 'PISYNC_FIRST_SHARDS',
} as const;

/** Bounds of {@link ENV.workerConcurrency}: what a spec may ask for is what a worker takes. */
export const WORKER_CONCURRENCY = {min: 1, max: 32} as const;

/** First argument of the service image: which service the process is. */
export const COMMANDS = ['device-api', 'admin-api', 'worker', 'keeper', 'migrate'] as const;
export type Command = (typeof COMMANDS)[number];
