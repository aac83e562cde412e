import {MAX_BROKER_NODES, MAX_SHARDS} from '@pisync/contract/limits';
import {z} from 'zod';

/** What the operator says about a region. Nothing in it changes unless the region does. */
const tier = z.object({
  replicas: z.int().describe('Pods that exist.'),
  ready: z.int().describe('Pods that are ready.'),
  updated: z.int().describe('Pods of the newest revision.'),
  summary: z.string().describe('Ready and wanted pods, e.g. `2/2`.'),
  selector: z.string().optional().describe('Label selector of the pods; autoscalers and `kubectl scale` use it.'),
});

const condition = z.object({
  type: z.string().max(316).describe('Name of the condition.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  reason: z.string().max(1024).describe('One word for programs.'),
  message: z.string().max(32_768).describe('A sentence for people.'),
  observedGeneration: z.int().optional().describe('Generation of the object that this is about.'),
  lastTransitionTime: z.string().meta({format: 'date-time'}).describe('When the status last changed.'),
});

const volumeSize = z
  .string()
  .max(32)
  .optional()
  .describe('Size of its volume, of which no more counts than was asked for. Absent while there is none.');

const PHASES = [
  'Pending',
  'Provisioning',
  'Migrating',
  'Ready',
  'Updating',
  'Degraded',
  'Suspended',
  'Deleting',
  'Invalid',
] as const;

/** What a region is made of, by the names that the status calls it. */
export const PART_NAMES = [
  'credentials',
  'configuration',
  'database',
  'broker',
  'cache',
  'schema',
  'keeper',
  'worker',
  'device-api',
  'admin-api',
  'routes',
] as const;

/**
 * The observedGeneration of a region that no operator has looked at yet. The definition's default says it, since kstatus, and so Helm and Flux, take an
 * object without a status for one that is as it should be.
 */
export const UNSEEN = -1;

export const statusSchema = z
  .object({
    observedGeneration: z
      .int()
      .describe(`Generation of the object that this status is about; ${UNSEEN} until an operator has looked at it.`),
    phase: z.enum(PHASES).describe('A summary of the conditions in one word.'),
    message: z.string().describe('A summary of the conditions in one sentence.'),
    conditions: z
      .array(condition)
      .meta({'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type']})
      .describe(
        'Ready, Reconciling and Stalled have the meaning that kubectl, Argo CD and Flux give them; the others are about one part each.',
      ),
    version: z
      .object({
        current: z.string().optional().describe('Version of the services that run.'),
        target: z.string().describe('Version of the services that should run.'),
        operator: z.string().describe('Version of the operator.'),
      })
      .describe('Versions.'),
    deviceApi: tier.describe('Pods of device-api.'),
    adminApi: tier.describe('Pods of admin-api.'),
    workers: tier.describe('Pods of the workers.'),
    readyShards: z.string().describe('Ready and wanted shards, e.g. `2/2`.'),
    shards: z
      .array(
        z.object({
          id: z.int().describe('Number of the shard, from 0.'),
          phase: z
            .enum(['Pending', 'Starting', 'Migrating', 'Joining', 'Ready', 'Failed'])
            .describe('How far the shard is. Joining: it is up and has its schema, and waits for the services.'),
          admitted: z
            .boolean()
            .optional()
            .describe(
              'Whether the services use it. Until then a growth can be undone by a lower `spec.postgres.shards`.',
            ),
          ready: z.boolean().describe('Whether its database accepts connections.'),
          endpoint: z.string().describe('Host and port for reading and writing.'),
          storage: volumeSize,
          slots: z.int().optional().describe('Slots that it owns, of 1024 in the region.'),
          secretName: z.string().describe("Secret with its user's name and password."),
        }),
      )
      .max(MAX_SHARDS)
      .meta({'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['id']})
      .describe('One entry a shard.'),
    brokerNodes: z
      .array(z.object({id: z.int().describe('Number of the broker node, from 0.'), storage: volumeSize}))
      .max(MAX_BROKER_NODES)
      .meta({'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['id']})
      .describe('One entry a broker node.'),
    endpoints: z
      .object({
        device: z.string().optional().describe('URL for devices.'),
        admin: z.string().optional().describe('URL for people.'),
      })
      .describe('Where the region is reached. Absent while nothing is routed.'),
    hosts: z
      .array(
        z.object({
          host: z.string().describe('Host name.'),
          className: z
            .string()
            .optional()
            .describe(
              'The Ingress class. Absent at a Gateway, and where no class was named and the cluster has given none.',
            ),
          gateway: z.string().optional().describe('The Gateway, `namespace/name`. Absent at an Ingress class.'),
        }),
      )
      .describe(
        "Hosts that are this region's, each at an Ingress class or at a Gateway. No other region gets one there.",
      ),
    slotMoves: z
      .object({
        total: z.int().describe('Moves that were planned.'),
        done: z.int().describe('Moves that are done.'),
        moving: z.int().describe('Moves that run.'),
      })
      .optional()
      .describe('Slots on their way between shards.'),
    pendingChanges: z
      .array(
        z.object({
          component: z
            .string()
            .describe(
              `What waits: a part of the region (${PART_NAMES.map((name) => `\`${name}\``).join(', ')}), a shard that joins (\`shard-2\`), \`volumes\`, or kind and name of an object (\`HorizontalPodAutoscaler eu-worker\`).`,
            ),
          reason: z.string().describe('What it waits for.'),
        }),
      )
      .meta({'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['component']})
      .describe('Changes that wait, and objects that are not as they should be, and why. Absent while there are none.'),
  })
  .partial()
  .meta({default: {observedGeneration: UNSEEN}})
  .describe('The region as it is. Written by the operator alone.');

export type RegionStatus = z.output<typeof statusSchema>;
export type Condition = z.output<typeof condition>;
export type TierStatus = z.output<typeof tier>;
export type PartName = (typeof PART_NAMES)[number];
export type Phase = (typeof PHASES)[number];
