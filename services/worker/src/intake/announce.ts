import {type Cache} from '@pisync/core/cache/cache';
import {CACHE_CHANNEL} from '@pisync/core/cache/cache-keys';
import {markChanged} from '@pisync/core/cache/device-entries';
import {type NewHint, setPositionHint} from '@pisync/core/cache/position-hint';
import {recordCount} from '../apply/batch.ts';
import {type Written} from '../apply/shard-writer.ts';

/** A message on the live channel: what one commit changed. */
interface AppliedMessage {
  readonly type: 'applied';
  readonly atMs: number;
  readonly devices: readonly {readonly deviceId: string; readonly batches: number; readonly records: number}[];
}

/** What one commit, or a few, changed for those who look. */
export interface News {
  readonly hints: readonly {readonly deviceId: string; readonly hint: NewHint}[];
  /** Devices of which the caches say something that is no longer true. */
  readonly changed: readonly string[];
  readonly message: AppliedMessage | undefined;
}

/** Undefined when nothing changed. */
export const newsOf = (written: readonly Written[], atMs: number): News | undefined => {
  const applied = written.flatMap((one) => one.applied);
  const conflicts = written.flatMap((one) => one.conflicts);
  // The commit that applied them may have lost its answer, and nobody was told then.
  const duplicates = written.flatMap((one) => one.duplicates);
  if (applied.length === 0 && conflicts.length === 0 && duplicates.length === 0) return undefined;
  const byDevice = Map.groupBy(applied, ({deviceKey}) => deviceKey);
  const idOf = new Map(applied.map(({deviceKey, deviceId}) => [deviceKey, deviceId]));
  const positions = written.flatMap((one) =>
    one.positions.map(({deviceKey, epoch, appliedThrough}) => ({
      deviceId: idOf.get(deviceKey) ?? '',
      hint: {applied: {epoch, through: appliedThrough}},
    })),
  );
  return {
    // The conflict left a command; the device asks for it only when it is told that there is one.
    hints: [...positions, ...conflicts.map(({deviceId}) => ({deviceId, hint: {commands: true}}))],
    changed: [...new Set([...applied, ...duplicates].map(({deviceId}) => deviceId))],
    message:
      applied.length === 0
        ? undefined
        : {
            type: 'applied',
            atMs,
            devices: Array.from(byDevice, ([deviceKey, batches]) => ({
              deviceId: idOf.get(deviceKey) ?? '',
              batches: batches.length,
              records: batches.reduce((sum, batch) => sum + recordCount(batch), 0),
            })),
          },
  };
};

/**
 * After a commit: marks what the caches say of the devices as changed, leaves their new positions as hints and tells live viewers, in
 * one pipeline. Redis may be away; every entry expires by itself.
 */
export const createAnnounce =
  (cache: Cache, now: () => number) =>
  async (written: readonly Written[]): Promise<void> => {
    const news = newsOf(written, now());
    if (news === undefined) return;
    await cache.use((redis) => {
      const pipeline = redis.pipeline();
      for (const {deviceId, hint} of news.hints) setPositionHint(pipeline, deviceId, hint);
      for (const deviceId of news.changed) markChanged(pipeline, deviceId);
      if (news.message !== undefined) pipeline.publish(CACHE_CHANNEL.live, JSON.stringify(news.message));
      return pipeline.exec();
    });
  };
