import {z} from 'zod';
import {atMost} from './at-most.ts';
import {MAX_SHARDS} from './limits.ts';

/** Characters of a reason. */
export const MOST_REASON = 512;

/**
 * Characters of the whole. Somebody else than the keeper may have written the text, so its length is looked at first: all shards, broker and cache with a
 * reason each, which JSON writes with up to twice the characters, and less than 200 for everything else of each.
 */
export const MOST_FACTS = (MAX_SHARDS + 2) * (2 * MOST_REASON + 200);

/** What came of trying something for real, a moment before `checkedAt`. `reason` says why not, in one line for people, without numbers that count up. */
const probe = z.object({ok: z.boolean(), reason: z.string().max(MOST_REASON).optional()});

/**
 * What only the region itself can know, told to the operator: the keeper writes it as key `facts.json` of one ConfigMap, the operator makes conditions and
 * status of it. All but the shards' ids may be missing, because keeper and operator need not be of one version.
 */
export const factsSchema = z.object({
  /**
   * When these were found, in whole minutes (ISO 8601, UTC). The operator compares it with no clock: facts count until it has not seen this change for two minutes.
   */
  checkedAt: z.iso.datetime().optional(),
  /** Those of the topology. Of one that did not answer nothing is known but that. */
  shards: atMost(
    MAX_SHARDS,
    z.object({
      id: z.int().min(0),
      /** Slots that it owns. */
      slots: z.int().min(0).max(1024).optional(),
      /** Something was written, and its commit was answered. */
      write: probe.optional(),
    }),
  ),
  /** A message was published and confirmed, within the time that device-api waits. */
  broker: probe.optional(),
  /** A key was written and read. */
  cache: probe.optional(),
  slotMoves: z.object({total: z.int(), done: z.int(), moving: z.int()}).optional(),
});

export type Facts = z.infer<typeof factsSchema>;
export type ProbeFact = z.infer<typeof probe>;

/** Keys inside the ConfigMap. */
export const FACTS_KEY = 'facts.json';
/** What is in it is for services alone; the operator only mounts it into them. */
export const SLOT_MAP_KEY = 'slot-map.json';
