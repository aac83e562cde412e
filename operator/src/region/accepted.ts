import {z} from 'zod';
import {type Accepted} from '../api/v1alpha1/rule.ts';
import {type Children} from './children.ts';
import {KINDS} from './kinds.ts';
import {ACCEPTED} from './labels.ts';
import {namesOf} from './names.ts';

const storage = z.object({size: z.string(), className: z.string().optional()});
const schema: z.ZodType<Accepted> = z.object({
  region: z.string(),
  postgres: z.object({shards: z.int(), storage}),
  rabbitmq: z.object({partitions: z.int(), storage}),
});

/** What the region's data was made with, as written down beside its credentials. Absent for a region that has none yet. */
export const acceptedBefore = (name: string, children: Children): Accepted | undefined => {
  const text = children.find(KINDS.secret, namesOf(name).bootstrap)?.metadata.annotations?.[ACCEPTED];
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    // Edited by hand into something else: it is written anew, and the API server has its own memory of the spec.
    return undefined;
  }
};
