import {z} from 'zod';
import {quantityNanos} from '../../kube/quantity.ts';

const countOf = (quantity: string | number, nanosOfOne: bigint): number => {
  const nanos = quantityNanos(quantity);
  if (nanos === undefined) throw new RangeError(`not a quantity: ${quantity}`);
  return Number(nanos / nanosOfOne);
};

/** Whole bytes in a Kubernetes quantity such as `10Gi`, `512M`, `1073741824`, `1e3`. Throws a RangeError for other text. */
export const quantityBytes = (quantity: string | number): number => countOf(quantity, 1_000_000_000n);

/** Whole thousandths of a CPU in a Kubernetes quantity such as `250m`, `1.5`, `2`. Throws a RangeError for other text. */
export const quantityMillis = (quantity: string | number): number => countOf(quantity, 1_000_000n);

/**
 * A size in whole units, always text, so that CEL's `quantity()` can compare it. At most 9999Ti: beyond 8 Ei Kubernetes counts no bytes, and servers read no
 * number that is written with an exponent.
 */
export const byteSize = z
  .string()
  .max(16)
  .regex(/^[1-9]([0-9]{0,9}(M|Mi)|[0-9]{0,6}(G|Gi)|[0-9]{0,3}(T|Ti))$/);

/** In characters. */
const LONGEST_AMOUNT = 16;

/**
 * What Kubernetes accepts as an amount of CPU or memory. Marked so that the generator writes `x-kubernetes-int-or-string`, the one union that structural
 * schemas allow.
 */
const amount = (pattern: RegExp) =>
  z.union([z.int().min(0), z.string().max(LONGEST_AMOUNT).regex(pattern)]).meta({
    'x-kubernetes-int-or-string': true,
    // Of a union's members the generator keeps nothing.
    pattern: pattern.source,
    maxLength: LONGEST_AMOUNT,
  });

const cpu = amount(/^[0-9]{1,6}(\.[0-9]{1,3})?m?$/);
const memory = amount(/^[0-9]{1,13}(\.[0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?$/);

interface Amounts {
  readonly cpu?: string;
  readonly memory?: string;
}

/** `resources` of a container, with the defaults of one tier. */
export const resources = (tier: string, defaults: {readonly requests: Amounts; readonly limits: Amounts}) =>
  z
    .object({
      requests: z
        .object({
          cpu: cpu.default(defaults.requests.cpu ?? '50m').describe('CPU that the scheduler keeps free, e.g. `100m`.'),
          memory: memory
            .default(defaults.requests.memory ?? '128Mi')
            .describe('Memory that the scheduler keeps free, e.g. `256Mi`.'),
        })
        .prefault({})
        .describe('What the scheduler keeps free for every pod.'),
      limits: z
        .object({
          cpu: cpu.optional().describe('CPU above which a pod is slowed down. No limit by default.'),
          memory: memory.default(defaults.limits.memory ?? '512Mi').describe('Memory above which a pod is killed.'),
        })
        .prefault({})
        .describe('What a pod may use at most.'),
    })
    .prefault({})
    .describe(`CPU and memory of ${tier}.`);

export type Resources = z.output<ReturnType<typeof resources>>;
