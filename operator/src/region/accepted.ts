import {z} from 'zod';
import {type Accepted, type Before} from '../api/v1alpha1/rule.ts';
import {oneLine} from '../kube/errors.ts';
import {quantityNanos} from '../kube/quantity.ts';
import {type Children} from './children.ts';
import {type DataClaim, dataClaims} from './data-claims.ts';
import {KINDS} from './kinds.ts';
import {ACCEPTED} from './labels.ts';
import {namesOf} from './names.ts';
import {type Region} from './region.ts';

/**
 * Of what is written beside the data. Another number only when what is written means something else than before: who does not know the number must not
 * go on. A field that is new is optional here, so that what was written without it stays readable.
 *
 * - absent: `postgres.shards` was the wish, so all of them count as admitted.
 * - 2: `postgres.shards` is how many were admitted.
 */
const VERSION = 2;

const size = z.string().refine((text) => quantityNanos(text) !== undefined);
const storage = z.object({size, className: z.string().optional()});
const schema = z.object({
  version: z.literal(VERSION).optional(),
  region: z.string(),
  postgres: z.object({shards: z.int().min(0), storage}),
  rabbitmq: z.object({partitions: z.int(), storage}),
});

export const acceptedText = (accepted: Accepted): string => JSON.stringify({version: VERSION, ...accepted});

const parse = (text: string): Accepted | undefined => {
  try {
    const found = schema.safeParse(JSON.parse(text)).data;
    if (found === undefined) return undefined;
    const {version: _, ...accepted} = found;
    return accepted;
  } catch {
    return undefined;
  }
};

/** `unreadable`: there is something, and who goes on without understanding it may remove what must stay. */
export type Memory =
  {readonly kind: 'known'; readonly before: Before} | {readonly kind: 'unreadable'; readonly problem: string};

/** What the region's data was made with, as written down beside its credentials. */
export const memoryOf = (
  {name, spec, status}: Pick<Region, 'name' | 'spec' | 'status'>,
  children: Children,
): Memory => {
  const secret = namesOf(name).bootstrap;
  const text = children.find(KINDS.secret, secret)?.metadata.annotations?.[ACCEPTED];
  const accepted = text === undefined ? undefined : parse(text);
  if (text !== undefined && accepted === undefined) {
    return {
      kind: 'unreadable',
      problem: `annotation ${ACCEPTED} of Secret ${secret}, which has what the data was made with, is damaged or of a newer operator: ${oneLine(text.slice(0, 256))}`,
    };
  }
  // The Secret may have been made anew by hand; then the status still knows.
  const said = status.shards?.filter(({admitted}) => admitted === true).length ?? 0;
  const sizes = (component: DataClaim['component']): readonly string[] =>
    dataClaims(name, spec)
      .filter((claim) => claim.component === component)
      .flatMap((claim) => children.volume(claim.name)?.size ?? []);
  return {
    kind: 'known',
    before: {
      accepted,
      admitted: Math.max(accepted?.postgres.shards ?? 0, said),
      volumes: {postgres: sizes('postgres'), rabbitmq: sizes('rabbitmq')},
    },
  };
};
