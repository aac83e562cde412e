import {z} from 'zod';
import {MAX_BROKER_NODES, MAX_PARTITIONS, MAX_SHARDS} from './limits.ts';

/**
 * What a region looks like from inside: written by the operator into the ConfigMap `<name>-topology`, read by every service.
 * It holds intent, never facts (which slot lives where is the slot map's business) and nothing secret.
 */
const endpoint = z.object({host: z.string().min(1), port: z.int().min(1).max(65535)});

const shard = z.object({
  id: z
    .int()
    .min(0)
    .max(MAX_SHARDS - 1),
  rw: endpoint,
  ro: endpoint.optional(),
  database: z.string().min(1),
});

export const topologySchema = z.object({
  /** The public name of the region, `spec.region`. */
  region: z.string().min(1),
  /** The object's name; prefix of everything it owns. */
  name: z.string().min(1),
  /** Host name that devices use, `spec.ingress.host`. */
  deviceHost: z.string().min(1).optional(),
  /**
   * The admitted ones, in id order: up, migrated, and their credentials mounted where they are needed. Shard 0 holds the control schema and is always
   * among them.
   */
  shards: z.array(shard).min(1).max(MAX_SHARDS),
  /** Declared and not admitted yet: only their migration looks at them. */
  joining: z
    .array(shard)
    .max(MAX_SHARDS - 1)
    .default([]),
  broker: endpoint.extend({
    vhost: z.string().min(1),
    partitions: z.int().min(1).max(MAX_PARTITIONS),
    replicas: z.int().min(1).max(MAX_BROKER_NODES),
  }),
  redis: endpoint,
  capacity: z.object({
    devices: z.int().min(1),
    /** The daily window in which devices are told to sync. start is HH:MM in UTC, durationMinutes up to a day. */
    syncWindow: z.object({
      start: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/),
      durationMinutes: z.int().min(1).max(1440),
    }),
  }),
  retention: z.object({recordDays: z.int().min(1), receiptDays: z.int().min(7), quarantineDays: z.int().min(1)}),
});

export type Topology = z.infer<typeof topologySchema>;
export type Endpoint = z.infer<typeof endpoint>;
/** In days. */
export type Retention = Topology['retention'];
