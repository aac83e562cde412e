import {z} from 'zod';
import {ENV} from '@pisync/contract/env';
import {FILES} from '@pisync/contract/files';
import {PORTS} from '@pisync/contract/ports';
import {type ConfigDefinition, type ConfigOf, variable} from './config.ts';
import {decimal, integer, text} from './values.ts';

/** What every service of a region reads; a service's own `config.ts` spreads this and adds what it alone needs. */
export const sharedVariables = {
  logLevel: variable(
    ENV.logLevel,
    'How much is logged: trace, debug, info, warn or error.',
    z
      .enum(['trace', 'debug', 'info', 'warn', 'error'], {error: 'must be trace, debug, info, warn or error'})
      .default('info'),
  ),
  topologyFile: variable(
    ENV.topologyFile,
    'Path of topology.json, which is read again when it changes.',
    text().default(FILES.topology),
  ),
  secretsDir: variable(
    ENV.secretsDir,
    'Folder of the mounted Secrets, one folder each.',
    text().default(FILES.secrets),
  ),
  slotMapFile: variable(
    'PISYNC_SLOT_MAP_FILE',
    'Path of the last slot map that the keeper has read; used while shard 0 does not answer and when it is begun anew, and may be missing.',
    text().default(FILES.slotMap),
  ),
  podName: variable(
    ENV.podName,
    'Names this process in logs, metrics and broker connections.',
    text().default('local'),
  ),
  podNamespace: variable(ENV.podNamespace, 'Namespace of the pod.', text().optional()),
  tracingEndpoint: variable(
    ENV.tracingEndpoint,
    'OTLP/HTTP address that spans are sent to; tracing is off while unset.',
    z.url({error: 'must be a URL'}).optional(),
  ),
  tracingSampleRatio: variable(
    ENV.tracingSampleRatio,
    'Share of traces that are kept, 0 to 1.',
    decimal(0, 1).default(0.01),
  ),
  opsPort: variable(
    'PISYNC_OPS_PORT',
    'TCP port of /healthz, /readyz and /metrics; 0 picks a free one.',
    integer(0, 65535).default(PORTS.ops),
  ),
  shutdownMs: variable(
    'PISYNC_SHUTDOWN_MS',
    "Longest time in milliseconds that a stop may take; keep it below the pod's terminationGracePeriodSeconds.",
    integer(100, 600_000).default(25_000),
  ),
} as const;

export type SharedConfig = ConfigOf<ConfigDefinition<typeof sharedVariables>>;
