import {AppError} from '../errors/app-error.ts';
import {onceMore} from './once-more.ts';
import {type Shards} from './shards.ts';

/** What one shard answered: its value, or that it does not own the slot. */
export type OwnerAnswer<T> = {readonly kind: 'done'; readonly value: T} | {readonly kind: 'moved'};

/** A row of an outer join: every column is null where nothing matched. */
export type Outer<T> = T | {readonly [K in keyof T]: null};

/** The map, the map again after a reload, and once more for a move that ended in between. */
const ATTEMPTS = 3;

/**
 * Asks the shard that owns a slot, following moves: when the asked one says that it is not the owner, the map is read
 * again and the owner it then names is asked. Whoever loses a connection meanwhile asks once more.
 * @param ask does no harm when it is run again
 * @throws AppError `shard-unavailable` while nobody owns the slot, which lasts milliseconds during a move.
 */
export const onOwner = async <T>(
  shards: Shards,
  slot: number,
  ask: (shardId: number) => Promise<OwnerAnswer<T>>,
): Promise<T> => {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const answer = await onceMore(() => ask(shards.slotMap.shardOf(slot)));
    if (answer.kind === 'done') return answer.value;
    await shards.slotMap.reload();
  }
  throw new AppError('shard-unavailable', `slot ${slot} has no owner at the moment; it is being moved, try again`, {
    retryAfterSeconds: 1,
  });
};
