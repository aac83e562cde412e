import type {Cache} from '@pisync/core/cache/cache';
import {type PositionHint, readPositionHint, writePositionHint} from '@pisync/core/cache/position-hint';
import type {Credential} from '@pisync/core/devices/credentials';
import {findPosition} from '@pisync/core/devices/position';
import {findAppliedThrough} from '@pisync/core/receipts/applied-through';
import type {Shards} from '@pisync/core/shards/shards';

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
  readonly onShardFault: (error: unknown) => void;
}

export const createPositionSource = ({cache, shards, onShardFault}: PositionSourceOptions): PositionSource => {
  const findInShard = async (
    device: Credential,
    epoch: number,
    accepted?: PositionHint['accepted'],
  ): Promise<KnownPosition> => {
    try {
      const position = await findPosition(shards, device.deviceKey, device.slot);
      if (position === undefined) return {applied: 0, accepted, commands: false, fromShard: true};
      const {commands} = position;
      await writePositionHint(cache, device.deviceId, {
        applied: {epoch: position.epoch, through: position.appliedThrough},
        commands,
      });
      const applied =
        position.epoch === epoch
          ? position.appliedThrough
          : position.epoch < epoch
            ? 0
            : await findAppliedThrough(shards, device, epoch);
      return {applied, accepted, commands, fromShard: true};
    } catch (error) {
      onShardFault(error);
      return {applied: undefined, accepted, commands: undefined, fromShard: false};
    }
  };

  return {
    async find(device, epoch) {
      const hint = await readPositionHint(cache, device.deviceId);
      if (hint?.applied?.epoch === epoch && hint.commands !== undefined) {
        return {applied: hint.applied.through, accepted: hint.accepted, commands: hint.commands, fromShard: false};
      }
      return findInShard(device, epoch, hint?.accepted);
    },
    findInShard: (device, epoch) => findInShard(device, epoch),
    noteAccepted: (deviceId, accepted) => writePositionHint(cache, deviceId, {accepted}),
  };
};
