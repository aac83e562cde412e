import {AppError} from '../errors/app-error.ts';
import {onceMore} from './once-more.ts';
import {type Shards} from './shards.ts';

/** What one shard answered: its value, or that it does not own the slot. */
export type OwnerAnswer<T> = {readonly kind: 'done'; readonly value: T} | {readonly kind: 'moved'};

/** A row of an outer join: every column is null where nothing matched. */
export type Outer<T> = T | {readonly [K in keyof T]: null};

/** The map, the map again after a reload, and once more for a move that ended in between. */
const ATTEMPTS = 3;

/** Something in a slot. */
interface InSlot {
  readonly slot: number;
}

/**
 * Asks the shards that own the slots of several things, each shard once, following moves: what a shard says it does not own is asked
 * of the owner that the map names after it was read again. Whoever loses a connection meanwhile asks once more.
 * @param ask of one shard, an answer for each thing in its order; does no harm when it is run again
 * @returns the values in the order of the things
 * @throws AppError `shard-unavailable` while nobody owns a slot, which lasts milliseconds during a move.
 */
export const onOwners = async <S extends InSlot, T>(
  shards: Shards,
  all: readonly S[],
  ask: (shardId: number, things: readonly S[]) => Promise<readonly OwnerAnswer<T>[]>,
): Promise<readonly T[]> => {
  const found = new Map<S, {readonly value: T}>();
  let pending = all;
  for (let attempt = 1; pending.length > 0; attempt++) {
    const [first] = pending;
    if (first !== undefined && attempt > ATTEMPTS) {
      throw new AppError(
        'shard-unavailable',
        `slot ${first.slot} has no owner at the moment; it is being moved, try again`,
        {retryAfterSeconds: 1},
      );
    }
    if (attempt > 1) await shards.slotMap.reload();
    const byShard = Map.groupBy(pending, ({slot}) => shards.slotMap.shardOf(slot));
    await Promise.all(
      Array.from(byShard, async ([shardId, things]) => {
        const answers = await onceMore(() => ask(shardId, things));
        for (const [index, thing] of things.entries()) {
          const answer = answers[index];
          if (answer?.kind === 'done') found.set(thing, {value: answer.value});
        }
      }),
    );
    pending = pending.filter((thing) => !found.has(thing));
  }
  return all.flatMap((thing) => {
    const answer = found.get(thing);
    return answer === undefined ? [] : [answer.value];
  });
};

/** {@link onOwners} of one slot. */
export const onOwner = async <T>(
  shards: Shards,
  slot: number,
  ask: (shardId: number) => Promise<OwnerAnswer<T>>,
): Promise<T> => {
  const values = await onOwners(shards, [{slot}], async (shardId) => [await ask(shardId)]);
  // One thing, so one value.
  return values[0] as T;
};
