import {z} from 'zod';
import {AppError} from '@pisync/core/errors/app-error';
import type {Signer} from '../signing/signer.ts';
import type {Positions} from './merge.ts';

/** Places in lists, handed out and taken back as opaque text. `list` names the list with its filter: a cursor works nowhere else. */
export interface Cursors {
  seal(list: string, place: unknown): Promise<string>;
  /** @throws AppError `bad-request` when the text is not a cursor that this region gave out for this list and filter. */
  open<S extends z.ZodType>(list: string, schema: S, cursor: string): Promise<z.output<S>>;
}

export const createCursors = (signer: Signer): Cursors => ({
  seal: (list, place) => signer.seal(list, place),
  async open(list, schema, cursor) {
    const place = schema.safeParse(await signer.open(list, cursor));
    if (place.success) return place.data;
    const detail =
      'is not a cursor of this list with this filter; take nextCursor of the page before unchanged, or start without a cursor';
    throw new AppError('bad-request', `The cursor ${detail}.`, {errors: [{pointer: '/cursor', detail}]});
  },
});

/** Shards that stand at the same key share one entry; mostly there is only one. */
export const positionsSchema = z.array(z.tuple([z.string(), z.array(z.int())]));

export const packPositions = (positions: Positions): z.input<typeof positionsSchema> => {
  const byKey = Map.groupBy(positions, ([, key]) => key);
  return [...byKey].map(([key, entries]) => [key, entries.map(([shard]) => shard)]);
};

export const unpackPositions = (packed: z.output<typeof positionsSchema>): Positions =>
  new Map(packed.flatMap(([key, shards]) => shards.map((shard) => [shard, key] as const)));
