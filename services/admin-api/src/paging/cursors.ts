import {z} from 'zod';
import {AppError} from '@pisync/core/errors/app-error';
import type {Sealer} from '../sealing/sealer.ts';
import type {Positions} from './merge.ts';

/** Places in lists, handed out and taken back as opaque text. `list` names the list with its filter: a cursor works nowhere else. */
export interface Cursors {
  seal(list: string, place: unknown): Promise<string>;
  /** @throws AppError `bad-request` when the text is not a cursor that this region gave out for this list and filter. */
  open<S extends z.ZodType>(list: string, schema: S, cursor: string): Promise<z.output<S>>;
}

export const createCursors = (sealer: Sealer): Cursors => ({
  seal: (list, place) => sealer.seal(list, place),
  async open(list, schema, cursor) {
    const place = schema.safeParse(await sealer.open(list, cursor));
    if (place.success) return place.data;
    const detail =
      'is not a cursor of this list with this filter; take nextCursor of the page before unchanged, or start without a cursor';
    throw new AppError('bad-request', `The cursor ${detail}.`, {errors: [{pointer: '/cursor', detail}]});
  },
});

/** Shards that stand at the same place share one entry; mostly there is only one. */
export const positionsSchema = <P extends z.ZodType>(place: P) => z.array(z.tuple([place, z.array(z.int())]));

export const packPositions = <Place>(positions: Positions<Place>): [Place, number[]][] => {
  const byPlace = Map.groupBy(positions, ([, place]) => JSON.stringify(place));
  return [...byPlace.values()].flatMap((entries) => {
    const [first] = entries;
    return first === undefined ? [] : [[first[1], entries.map(([shard]) => shard)] satisfies [Place, number[]]];
  });
};

export const unpackPositions = <Place>(packed: readonly (readonly [Place, readonly number[]])[]): Positions<Place> =>
  new Map(packed.flatMap(([place, shards]) => shards.map((shard) => [shard, place] as const)));
