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
  readonly after: Timers['after'];
  readonly onFault: (error: unknown) => void;
}

/** Kept for the next round while a shard is away, or somebody has the row. Above it new ones are dropped: the device's next call brings a newer one. */
const MAX_WAITING = 50_000;

export const createLastSeen = ({write, intervalMs, after, onFault}: LastSeenOptions): LastSeen => {
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
    if (waiting.size < MAX_WAITING || waiting.has(sighting.deviceKey)) waiting.set(sighting.deviceKey, sighting);
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
