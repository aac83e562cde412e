import type {Cache} from './cache.ts';
import {CACHE_TTL_SECONDS, cacheKey} from './cache-keys.ts';

/** A batch that the broker confirmed. */
export interface AcceptedHint {
  readonly epoch: number;
  readonly batchSeq: number;
  readonly contentHash: string;
}

/**
 * Where a device's batches have got to, as far as Redis remembers. Only a hint: too little costs a resend. `applied` is
 * written from committed facts alone, because a device deletes what is applied.
 */
export interface PositionHint {
  readonly applied: {readonly epoch: number; readonly through: number} | undefined;
  readonly accepted: AcceptedHint | undefined;
  /** Whether commands wait; undefined when not known. */
  readonly commands: boolean | undefined;
}

const POSITION_PATTERN = /^(\d{1,9}):(\d{1,15})(?::([0-9a-f]{64}))?$/;

const parse = (text: string | null | undefined) => {
  const match = POSITION_PATTERN.exec(text ?? '');
  return match === null ? undefined : {epoch: Number(match[1]), seq: Number(match[2]), hash: match[3]};
};

/** Undefined when Redis does not answer. */
export const readPositionHint = async (cache: Cache, deviceId: string): Promise<PositionHint | undefined> => {
  const fields = await cache.use((redis) =>
    redis.hmget(cacheKey.position(deviceId), 'applied', 'accepted', 'commands'),
  );
  if (fields === undefined) return undefined;
  const [applied, accepted] = [parse(fields[0]), parse(fields[1])];
  return {
    applied: applied === undefined ? undefined : {epoch: applied.epoch, through: applied.seq},
    accepted:
      accepted?.hash === undefined
        ? undefined
        : {epoch: accepted.epoch, batchSeq: accepted.seq, contentHash: accepted.hash},
    commands: fields[2] === '1' ? true : fields[2] === '0' ? false : undefined,
  };
};

/**
 * Fields that are absent stay as they are. Writing does not prolong the key's life, so a wrong hint is gone after its time however busy the
 * device is. Commands of one turn of the event loop share a pipeline, so many calls cost one round trip.
 */
export const writePositionHint = async (
  cache: Cache,
  deviceId: string,
  {applied, accepted, commands}: Partial<PositionHint>,
): Promise<void> => {
  const fields = {
    ...(applied === undefined ? {} : {applied: `${applied.epoch}:${applied.through}`}),
    ...(accepted === undefined ? {} : {accepted: `${accepted.epoch}:${accepted.batchSeq}:${accepted.contentHash}`}),
    ...(commands === undefined ? {} : {commands: commands ? '1' : '0'}),
  };
  const key = cacheKey.position(deviceId);
  await cache.use((redis) => Promise.all([redis.hset(key, fields), redis.expire(key, CACHE_TTL_SECONDS.status, 'NX')]));
};
