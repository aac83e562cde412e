import {z} from 'zod';

/**
 * What only the region itself can know, told to the operator: the keeper writes it as key `facts.json` of one ConfigMap, the operator copies it into the
 * object's status. It changes only when a fact changes; what is written again in between is the same, which the API server takes for no change.
 */
export const factsSchema = z.object({
  shards: z.array(z.object({id: z.int().min(0), slots: z.int().min(0).max(1024), schemaVersion: z.int().min(0)})),
  slotMoves: z.object({total: z.int(), done: z.int(), moving: z.int()}),
});

export type Facts = z.infer<typeof factsSchema>;

/** Key inside the ConfigMap. */
export const FACTS_KEY = 'facts.json';
