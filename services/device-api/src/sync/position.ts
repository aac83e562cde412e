import type {PositionHint, PositionHints} from '@pisync/core/cache/position-hint';
import type {Credential} from '@pisync/core/devices/credentials';
import type {DeviceShards} from '../device-shards.ts';
import {AppError} from '@pisync/core/errors/app-error';
import type {OptionalRead} from '../optional-reads.ts';

/** What is known of a device's position in one epoch. */
export interface KnownPosition {
  /** Every batch of the epoch up to this one is applied; undefined when nobody could say. */
  readonly applied: number | undefined;
  /** What was applied of the epoch when somebody said it last; 0 when nobody remembers. */
  readonly atLeast: number;
  readonly accepted: PositionHint['accepted'];
  /** Whether commands wait; undefined when nobody could say. */
  readonly commands: boolean | undefined;
  /** False for a hint, which lags. */
  readonly fromShard: boolean;
}

export interface PositionSource {
  /**
   * Redis first, else the shard, or the other way round; does not fail with them, because a batch can be taken without knowing.
   * @throws AppError `enrol-again` for a device that its shard does not know, whatever caches say
   */
  find(device: Credential, epoch: number, order?: {readonly isShardFirst: boolean}): Promise<KnownPosition>;
  /** The shard's truth. @throws like `find` */
  findInShard(device: Credential, epoch: number): Promise<Omit<KnownPosition, 'atLeast'>>;
  /** Remembers that the broker has a batch. */
  noteAccepted(deviceId: string, accepted: NonNullable<PositionHint['accepted']>): Promise<void>;
}

export interface PositionSourceOptions {
  readonly hints: PositionHints;
  readonly shards: Pick<DeviceShards, 'position'>;
  readonly optionalRead: OptionalRead;
  readonly onShardFault: (error: unknown) => void;
}

export const createPositionSource = (options: PositionSourceOptions): PositionSource => {
  const {hints, shards, optionalRead, onShardFault} = options;

  const read = async (device: Credential, epoch: number) => {
    const position = await shards.position(device, epoch);
    if (position === undefined) throw new AppError('enrol-again', 'the region does not know this device; enrol again');
    await hints.write(device.deviceId, {
      applied: {epoch: position.epoch, through: position.appliedThrough},
      commands: position.commands,
    });
    return {applied: position.appliedOfAsked, commands: position.commands};
  };

  const atLeastIn = (epoch: number, hint: PositionHint | undefined): number =>
    hint?.atLeast?.epoch === epoch ? hint.atLeast.through : 0;

  const findInShard = async (device: Credential, epoch: number, hint?: PositionHint) => {
    try {
      const found = await optionalRead(device.slot, () => read(device, epoch));
      return {...found, accepted: hint?.accepted, fromShard: true};
    } catch (error) {
      if (error instanceof AppError && error.code === 'enrol-again') throw error;
      onShardFault(error);
      const applied = hint?.applied?.epoch === epoch ? hint.applied.through : undefined;
      return {applied, accepted: hint?.accepted, commands: hint?.commands, fromShard: false};
    }
  };

  return {
    async find(device, epoch, {isShardFirst} = {isShardFirst: false}) {
      const hint = await hints.read(device.deviceId);
      const atLeast = atLeastIn(epoch, hint);
      if (!isShardFirst && hint?.applied?.epoch === epoch && hint.commands !== undefined) {
        const {accepted, commands} = hint;
        return {applied: hint.applied.through, atLeast, accepted, commands, fromShard: false};
      }
      return {...(await findInShard(device, epoch, hint)), atLeast};
    },
    findInShard: (device, epoch) => findInShard(device, epoch),
    noteAccepted: (deviceId, accepted) => hints.write(deviceId, {accepted}),
  };
};
