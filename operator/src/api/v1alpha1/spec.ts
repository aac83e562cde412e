import {z} from 'zod';
import {ingress} from './ingress.ts';
import {postgres} from './postgres.ts';
import {rabbitmq} from './rabbitmq.ts';
import {redis} from './redis.ts';
import {capacity, common, images, monitoring, networkPolicy, retention, scheduling} from './settings.ts';
import {adminApi, deviceApi, keeper, workers} from './tiers.ts';

/** The parts of a spec that run pods of their own. */
const tiers = {deviceApi, adminApi, workers, keeper, postgres, rabbitmq, redis};

export type Tier = keyof typeof tiers;

// It is a literal, so these are all its keys.
export const TIERS = Object.keys(tiers) as readonly Tier[];

/** What a person writes. Defaults are in the schema, so that the API server fills them in and `kubectl get -o yaml` shows them. */
export const specSchema = z
  .object({
    region: z
      .string()
      .max(32)
      // It is also the value of a label, which begins and ends with a letter or a digit.
      .regex(/^[a-z0-9][a-z0-9-]{0,30}[a-z0-9]$/)
      .describe("The region's public name, e.g. `eu-west`. It cannot be changed later."),
    version: z
      .string()
      // It is a label of every child, too.
      .max(63)
      .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/)
      .optional()
      .describe(
        "Tag of the image of PiSync's services. Default: that of the operator's value `images.service`. Without effect where `images.service` is set.",
      ),
    images,
    capacity,
    ...tiers,
    ingress,
    retention,
    monitoring,
    networkPolicy,
    scheduling,
    common,
    deletionPolicy: z
      .enum(['Retain', 'Delete'])
      .default('Retain')
      .describe(
        'What happens to volumes and credentials when the object is deleted. Retain: they stay, and a region of the same name takes them up again. A change counts when the operator has followed it (`status.observedGeneration` is then `metadata.generation`), and not for a region that is deleted before. One to Retain is followed also while the region is suspended or invalid, one to Delete is not.',
      ),
    suspend: z
      .boolean()
      .default(false)
      .describe(
        'Whether the operator keeps its hands off: nothing is created, changed or repaired while this is true; only a change of deletionPolicy to Retain is followed.',
      ),
  })
  .describe('The region as it should be.');

export type RegionSpec = z.output<typeof specSchema>;
