import {readFile} from 'node:fs/promises';
import {atMost} from '@pisync/contract/at-most';
import {SLOTS} from '@pisync/contract/slots';
import {z} from 'zod';
import {AppError} from '../errors/app-error.ts';

/** A slot map as somebody has read it. An old one is safe: a shard that does not own a slot says so. */
export interface KnownSlotMap {
  /** Sum of all epochs. */
  readonly version: number;
  /** By slot. */
  readonly shards: readonly number[];
}

/** Neighbours mostly live together, so runs of a length and a shard are a hundredth of the list. */
const savedSchema = z.object({
  version: z.int().min(0),
  runs: atMost(SLOTS, z.tuple([z.int().min(1).max(SLOTS), z.int().min(0)])),
});

/** Characters: a run for every slot, `[1,63],`, and as many again. Whoever may change the ConfigMap may write a megabyte. */
const MOST_CHARACTERS = 16 * SLOTS;

/** As JSON of some hundred bytes. */
export const encodeSlotMap = ({version, shards}: KnownSlotMap): string => {
  const runs: [length: number, shard: number][] = [];
  for (const shard of shards) {
    const last = runs.at(-1);
    if (last?.[1] === shard) last[0] += 1;
    else runs.push([1, shard]);
  }
  return JSON.stringify({version, runs});
};

/** @throws what a text throws that is no slot map. */
export const decodeSlotMap = (text: string): KnownSlotMap => {
  if (text.length > MOST_CHARACTERS)
    throw new AppError('unavailable', `a saved slot map has ${text.length} characters`);
  const {version, runs} = savedSchema.parse(JSON.parse(text));
  // Counted before it is spread out: a text of a megabyte can say a hundred million.
  const slots = runs.reduce((sum, [length]) => sum + length, 0);
  if (slots !== SLOTS) throw new AppError('unavailable', `a saved slot map has ${slots} slots`);
  return {version, shards: runs.flatMap(([length, shard]) => new Array<number>(length).fill(shard))};
};

const isMissing = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';

/** Undefined where there is none. @throws what a text throws that is no slot map, and what the file system throws. */
export const requireSavedSlotMap = async (path: string): Promise<KnownSlotMap | undefined> => {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  return text === undefined ? undefined : decodeSlotMap(text);
};

/** Undefined where there is none, or another release wrote it in a way that this one cannot read. */
export const readSavedSlotMap = (path: string): Promise<KnownSlotMap | undefined> =>
  requireSavedSlotMap(path).catch(() => undefined);
