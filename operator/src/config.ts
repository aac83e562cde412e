import {z} from 'zod';
import {PORTS} from '@pisync/contract/ports';

/** One environment variable of the operator. */
interface Variable<S extends z.ZodType> {
  readonly env: string;
  readonly doc: string;
  readonly schema: S;
}

const variable = <S extends z.ZodType>(env: string, doc: string, schema: S): Variable<S> => ({env, doc, schema});

const integer = (min: number, max: number) =>
  z
    .string({error: 'is required'})
    .regex(/^\d{1,9}$/, {error: 'must be a whole number'})
    .transform(Number)
    .pipe(
      z
        .int()
        .min(min, {error: `must be at least ${min}`})
        .max(max, {error: `must be at most ${max}`}),
    );

const image = z
  .string({error: 'is required'})
  .regex(/^[a-z0-9][a-zA-Z0-9._\-/:@]*$/, {error: 'must be the name of an image'});

const name = z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, {error: "must consist of a-z, 0-9, '-' and '.'"});

const LABEL_KEY = '([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?';
const LABEL_VALUE = '([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?';
/** One of the terms that are separated by commas: `a`, `!a`, `a=b`, `a!=b`, `a in (b, c)`, `a notin (b)`. */
const SELECTOR_TERM = `(!?${LABEL_KEY}|${LABEL_KEY} *(=|==|!=) *${LABEL_VALUE}|${LABEL_KEY} +(in|notin) +\\( *${LABEL_VALUE} *(, *${LABEL_VALUE} *)*\\))`;

const selector = z.string().regex(new RegExp(`^ *${SELECTOR_TERM} *(, *${SELECTOR_TERM} *)*$`), {
  error: 'must be a label selector, for example pisync.io/operator-class=blue',
});

const VARIABLES = {
  logLevel: variable(
    'PISYNC_LOG_LEVEL',
    'How much is logged: trace, debug, info, warn or error.',
    z
      .enum(['trace', 'debug', 'info', 'warn', 'error'], {error: 'must be trace, debug, info, warn or error'})
      .default('info'),
  ),
  opsPort: variable(
    'PISYNC_OPS_PORT',
    'TCP port of /healthz, /readyz and /metrics.',
    integer(0, 65_535).default(PORTS.ops),
  ),
  namespaces: variable(
    'PISYNC_NAMESPACES',
    'Namespaces whose regions are looked after, separated by commas. Empty: all.',
    z
      .string()
      .default('')
      .transform((text) => text.split(',').filter((part) => part !== ''))
      .pipe(z.array(name)),
  ),
  regionSelector: variable(
    'PISYNC_REGION_SELECTOR',
    'Label selector of the regions that are looked after. Unset: all.',
    selector.optional(),
  ),
  leaseNamespace: variable(
    'PISYNC_POD_NAMESPACE',
    'Namespace of the Lease that decides which operator works.',
    name.default('default'),
  ),
  leaseName: variable('PISYNC_LEASE_NAME', 'Name of that Lease.', name.default('pisync-operator')),
  podName: variable('PISYNC_POD_NAME', 'Names this process in the Lease and in events.', name.default('local')),
  workers: variable('PISYNC_WORKERS', 'Regions that are worked on at the same time.', integer(1, 64).default(4)),
  kubeconfig: variable(
    'KUBECONFIG',
    "Path of a kubeconfig. Unset: the pod's own service account.",
    z.string().optional(),
  ),
  apiHost: variable('KUBERNETES_SERVICE_HOST', 'Set by Kubernetes in every pod.', z.string().optional()),
  apiPort: variable('KUBERNETES_SERVICE_PORT', 'Set by Kubernetes in every pod.', z.string().default('443')),
  version: variable('PISYNC_VERSION', 'Version of the operator, for the status.', z.string().default('dev')),
  serviceImage: variable('PISYNC_IMAGE_SERVICE', "Image of PiSync's services.", image),
  postgresImage: variable(
    'PISYNC_IMAGE_POSTGRES',
    'Image of PostgreSQL.',
    image.default('docker.io/library/postgres:17'),
  ),
  rabbitmqImage: variable(
    'PISYNC_IMAGE_RABBITMQ',
    'Image of RabbitMQ.',
    image.default('docker.io/library/rabbitmq:4.2'),
  ),
  redisImage: variable('PISYNC_IMAGE_REDIS', 'Image of Redis.', image.default('docker.io/library/redis:8')),
} as const;

export type OperatorConfig = {readonly [K in keyof typeof VARIABLES]: z.output<(typeof VARIABLES)[K]['schema']>};

/** The environment is wrong; the message names every bad variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads the configuration. A variable that is empty counts as unset, because manifests cannot unset one.
 * @throws ConfigError that names every bad variable at once. A bad value never falls back to the default.
 */
export const loadConfig = (env: Readonly<Record<string, string | undefined>>): OperatorConfig => {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [key, {env: variableName, schema}] of Object.entries(VARIABLES)) {
    const text = env[variableName];
    const result = schema.safeParse(text === '' ? undefined : text);
    if (result.success) values[key] = result.data;
    else problems.push(`${variableName}: ${result.error.issues.map(({message}) => message).join('; ')}`);
  }
  if (problems.length > 0) {
    throw new ConfigError(`the environment is wrong (--help explains every variable):\n  ${problems.join('\n  ')}`);
  }
  // Every key was parsed by its own schema just now.
  return values as OperatorConfig;
};

export const configHelp = (): string => {
  const lines = Object.values(VARIABLES).map(({env, doc, schema}) => {
    const fallback = schema.safeParse(undefined);
    const note = !fallback.success
      ? 'required'
      : fallback.data === undefined || String(fallback.data) === ''
        ? 'optional'
        : `default ${String(fallback.data)}`;
    return `  ${env} (${note})\n      ${doc}`;
  });
  return ['pisync-operator: turns PiSyncRegions into running regions', '', 'Environment:', ...lines, ''].join('\n');
};
