import {type Cache} from '@pisync/core/cache/cache';
import {CACHE_CHANNEL} from '@pisync/core/cache/cache-keys';
import {markChanged} from '@pisync/core/cache/device-entries';
import {setPositionHint} from '@pisync/core/cache/position-hint';
import {recordCount} from '../apply/batch.ts';
import {type Written} from '../apply/shard-writer.ts';

/** A message on the live channel: what one commit changed. */
interface AppliedMessage {
  readonly type: 'applied';
  readonly atMs: number;
  readonly devices: readonly {readonly deviceId: string; readonly batches: number; readonly records: number}[];
}

/**
 * After a commit: marks what the caches say of the devices as changed, leaves their new positions as hints and tells live viewers, in
 * one pipeline. Redis may be away; every entry expires by itself.
 */
export const createAnnounce =
  (cache: Cache, now: () => number) =>
  async (written: readonly Written[]): Promise<void> => {
    const applied = written.flatMap((one) => one.applied);
    const conflicts = written.flatMap((one) => one.conflicts);
    // The commit that applied them may have lost its answer, and nobody was told then.
    const duplicates = written.flatMap((one) => one.duplicates);
    if (applied.length === 0 && conflicts.length === 0 && duplicates.length === 0) return;
    const byDevice = Map.groupBy(applied, ({deviceKey}) => deviceKey);
    const idOf = new Map(applied.map(({deviceKey, deviceId}) => [deviceKey, deviceId]));
    const message: AppliedMessage = {
      type: 'applied',
      atMs: now(),
      devices: Array.from(byDevice, ([deviceKey, batches]) => ({
        deviceId: idOf.get(deviceKey) ?? '',
        batches: batches.length,
        records: batches.reduce((sum, batch) => sum + recordCount(batch), 0),
      })),
    };
    await cache.use((redis) => {
      const pipeline = redis.pipeline();
      for (const {deviceKey, epoch, appliedThrough} of written.flatMap(({positions}) => positions)) {
        const deviceId = idOf.get(deviceKey);
        if (deviceId !== undefined) setPositionHint(pipeline, deviceId, {applied: {epoch, through: appliedThrough}});
      }
      // The conflict left a command; the device asks for it only when it is told that there is one.
      for (const {deviceId} of conflicts) setPositionHint(pipeline, deviceId, {commands: true});
      for (const deviceId of new Set([...applied, ...duplicates].map((batch) => batch.deviceId)))
        markChanged(pipeline, deviceId);
      if (applied.length > 0) pipeline.publish(CACHE_CHANNEL.live, JSON.stringify(message));
      return pipeline.exec();
    });
  };
