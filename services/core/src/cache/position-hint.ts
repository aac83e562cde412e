import type {Cache, SetCommands} from './cache.ts';
import {CACHE_TTL_SECONDS, cacheKey} from './cache-keys.ts';

/** A batch that the broker confirmed. */
interface AcceptedHint {
  /** A device that was made anew has another one, and its numbers begin again. */
  readonly deviceKey: number;
  readonly epoch: number;
  readonly batchSeq: number;
  readonly contentHash: string;
}

interface Applied {
  readonly epoch: number;
  readonly through: number;
}

/**
 * Where a device's batches have got to, as far as Redis remembers. Only a hint: too little costs a resend. `applied` is
 * written from committed facts alone, because a device deletes what is applied.
 */
export interface PositionHint {
  readonly applied: Applied | undefined;
  /** What `applied` was when somebody said it last, for two days: by now it may be more. Written with `applied`. */
  readonly atLeast: Applied | undefined;
  readonly accepted: AcceptedHint | undefined;
  /** Whether commands wait; undefined when not known. */
  readonly commands: boolean | undefined;
}

const POSITION_PATTERN = /^(\d{1,9}):(\d{1,15})(?::([0-9a-f]{64}):(\d{1,15}))?$/;

const parse = (text: string | null | undefined) => {
  const match = POSITION_PATTERN.exec(text ?? '');
  return match === null
    ? undefined
    : {epoch: Number(match[1]), seq: Number(match[2]), hash: match[3], key: Number(match[4])};
};

/** The hints of all devices. Whoever writes goes on whether it is kept or not. */
export interface PositionHints {
  /** Undefined when nobody answers. */
  read(deviceId: string): Promise<PositionHint | undefined>;
  /** Facts that are absent stay as they are. */
  write(deviceId: string, hint: NewHint): Promise<void>;
}

export type NewHint = Partial<Omit<PositionHint, 'atLeast'>>;

export const createPositionHints = (cache: Cache): PositionHints => ({
  read: (deviceId) => readPositionHint(cache, deviceId),
  write: (deviceId, hint) => writePositionHint(cache, deviceId, hint),
});

/** Undefined when Redis does not answer. */
export const readPositionHint = async (cache: Cache, deviceId: string): Promise<PositionHint | undefined> => {
  const facts = await cache.use((redis) =>
    redis.mget(
      cacheKey.position(deviceId, 'applied'),
      cacheKey.position(deviceId, 'accepted'),
      cacheKey.position(deviceId, 'commands'),
      cacheKey.position(deviceId, 'atLeast'),
    ),
  );
  if (facts === undefined) return undefined;
  const accepted = parse(facts[1]);
  const appliedIn = (text: string | null | undefined): Applied | undefined => {
    const read = parse(text);
    return read === undefined ? undefined : {epoch: read.epoch, through: read.seq};
  };
  return {
    applied: appliedIn(facts[0]),
    atLeast: appliedIn(facts[3]),
    accepted:
      accepted?.hash === undefined
        ? undefined
        : {deviceKey: accepted.key, epoch: accepted.epoch, batchSeq: accepted.seq, contentHash: accepted.hash},
    commands: facts[2] === '1' ? true : facts[2] === '0' ? false : undefined,
  };
};

/**
 * Facts that are absent stay as they are. Each but `atLeast` lives for a minute after it was last said, so a wrong one is gone after its
 * time however busy the device is.
 */
export const setPositionHint = <R>(
  commands: SetCommands<R>,
  deviceId: string,
  {applied, accepted, commands: waiting}: NewHint,
): readonly R[] => {
  const set = (
    fact: 'applied' | 'atLeast' | 'accepted' | 'commands',
    text: string,
    seconds: number = CACHE_TTL_SECONDS.status,
  ): R => commands.set(cacheKey.position(deviceId, fact), text, 'EX', seconds);
  const through = applied && `${applied.epoch}:${applied.through}`;
  return [
    ...(through === undefined ? [] : [set('applied', through), set('atLeast', through, CACHE_TTL_SECONDS.atLeast)]),
    ...(accepted === undefined
      ? []
      : [set('accepted', `${accepted.epoch}:${accepted.batchSeq}:${accepted.contentHash}:${accepted.deviceKey}`)]),
    ...(waiting === undefined ? [] : [set('commands', waiting ? '1' : '0')]),
  ];
};

/** Sets it now. Commands of one turn of the event loop share a pipeline, so many calls cost one round trip. */
const writePositionHint = async (cache: Cache, deviceId: string, hint: NewHint): Promise<void> => {
  await cache.use((redis) => Promise.all(setPositionHint(redis, deviceId, hint)));
};
