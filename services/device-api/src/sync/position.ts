import type {Cache} from '@pisync/core/cache/cache';
import {type PositionHint, readPositionHint, writePositionHint} from '@pisync/core/cache/position-hint';
import type {Credential} from '@pisync/core/devices/credentials';
import {findPosition} from '@pisync/core/devices/position';
import type {Shards} from '@pisync/core/shards/shards';
import type {OptionalRead} from '../optional-reads.ts';

/** What is known of a device's position in one epoch. */
export interface KnownPosition {
  /** Every batch of the epoch up to this one is applied; undefined when nobody could say. */
  readonly applied: number | undefined;
  readonly accepted: PositionHint['accepted'];
  /** Whether commands wait; undefined when nobody could say. */
  readonly commands: boolean | undefined;
  /** False for a hint, which lags. */
  readonly fromShard: boolean;
}

export interface PositionSource {
  /** Redis first, else the shard; never fails, because a batch can be taken without knowing. */
  find(device: Credential, epoch: number): Promise<KnownPosition>;
  /** The shard's truth. Never fails. */
  findInShard(device: Credential, epoch: number): Promise<KnownPosition>;
  /** Remembers that the broker has a batch. */
  noteAccepted(deviceId: string, accepted: NonNullable<PositionHint['accepted']>): Promise<void>;
}

export interface PositionSourceOptions {
  readonly cache: Cache;
  readonly shards: Shards;
  readonly optionalRead: OptionalRead;
  readonly onShardFault: (error: unknown) => void;
}

export const createPositionSource = (options: PositionSourceOptions): PositionSource => {
  const {cache, shards, optionalRead, onShardFault} = options;

  const read = async (device: Credential, epoch: number) => {
    const position = await findPosition(shards, device, epoch);
    if (position === undefined) return {applied: 0, commands: false};
    await writePositionHint(cache, device.deviceId, {
      applied: {epoch: position.epoch, through: position.appliedThrough},
      commands: position.commands,
    });
    return {applied: position.appliedOfAsked, commands: position.commands};
  };

  const findInShard = async (device: Credential, epoch: number, hint?: PositionHint): Promise<KnownPosition> => {
    try {
      const found = await optionalRead(device.slot, () => read(device, epoch));
      return {...found, accepted: hint?.accepted, fromShard: true};
    } catch (error) {
      onShardFault(error);
      const applied = hint?.applied?.epoch === epoch ? hint.applied.through : undefined;
      return {applied, accepted: hint?.accepted, commands: hint?.commands, fromShard: false};
    }
  };

  return {
    async find(device, epoch) {
      const hint = await readPositionHint(cache, device.deviceId);
      if (hint?.applied?.epoch === epoch && hint.commands !== undefined) {
        return {applied: hint.applied.through, accepted: hint.accepted, commands: hint.commands, fromShard: false};
      }
      return findInShard(device, epoch, hint);
    },
    findInShard: (device, epoch) => findInShard(device, epoch),
    noteAccepted: (deviceId, accepted) => writePositionHint(cache, deviceId, {accepted}),
  };
};
