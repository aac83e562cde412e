import type {Sighting, Unwritten} from '@pisync/core/devices/last-seen';
import type {Timers} from '@pisync/core/lifecycle/timers';

/** Collects signs of life and writes them together: a fleet that only says hello must not cost a transaction each. */
export interface LastSeen {
  note(sighting: Sighting): void;
  /** Writes what is left. */
  stop(): Promise<void>;
}

export interface LastSeenOptions {
  /** Writes many, at most one call at a time, and says what is left. */
  readonly write: (sightings: readonly Sighting[]) => Promise<readonly Unwritten[]>;
  readonly intervalMs: number;
  /** Kept for the next round while a shard is away, or somebody has the row. Above it new ones are dropped: the device's next call brings a newer one. */
  readonly maxWaiting: () => number;
  readonly after: Timers['after'];
  readonly onFault: (error: unknown) => void;
}

export interface LastSeenByShardOptions extends Omit<LastSeenOptions, 'maxWaiting'> {
  /** @throws AppError `shard-unavailable` while nobody knows. */
  readonly shardOf: (slot: number) => number;
  readonly shards: () => number;
}

/** In all shards together. */
const MAX_WAITING = 50_000;

/** A writer for each shard, with room of its own: one that is away delays nothing of the others, and keeps none of theirs out. */
export const createLastSeenByShard = ({shardOf, shards, ...options}: LastSeenByShardOptions): LastSeen => {
  const writers = new Map<number, LastSeen>();
  const maxWaiting = (): number => Math.ceil(MAX_WAITING / shards());
  const writerOf = (shardId: number): LastSeen => {
    const known = writers.get(shardId) ?? createLastSeen({...options, maxWaiting});
    writers.set(shardId, known);
    return known;
  };
  return {
    note(sighting) {
      try {
        writerOf(shardOf(sighting.slot)).note(sighting);
      } catch (error) {
        options.onFault(error);
      }
    },
    async stop() {
      await Promise.all(Array.from(writers.values(), (writer) => writer.stop()));
    },
  };
};

export const createLastSeen = ({write, intervalMs, maxWaiting, after, onFault}: LastSeenOptions): LastSeen => {
  let waiting = new Map<number, Sighting>();
  let writing = Promise.resolve();
  /** Set while something waits, and nothing is being written. */
  let cancel: (() => void) | undefined;
  let busy = false;

  const flush = async (): Promise<void> => {
    if (waiting.size === 0) return;
    busy = true;
    const group = [...waiting.values()];
    waiting = new Map();
    const left = await write(group).catch((reason: unknown) => [{sightings: group, reason}]);
    busy = false;
    for (const {sightings, reason} of left) {
      if (reason !== undefined) onFault(reason);
      // What came meanwhile is newer.
      for (const sighting of sightings) if (!waiting.has(sighting.deviceKey)) keep(sighting);
    }
    arm();
  };
  const arm = (): void => {
    if (waiting.size === 0 || busy || cancel !== undefined) return;
    cancel = after(intervalMs, () => {
      cancel = undefined;
      writing = flush();
    });
  };
  const disarm = (): void => {
    cancel?.();
    cancel = undefined;
  };
  const keep = (sighting: Sighting): void => {
    if (waiting.size < maxWaiting() || waiting.has(sighting.deviceKey)) waiting.set(sighting.deviceKey, sighting);
  };

  return {
    note(sighting) {
      keep(sighting);
      arm();
    },
    async stop() {
      await writing;
      disarm();
      await flush();
      disarm();
    },
  };
};
