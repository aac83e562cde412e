import {describe, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {mergePages, type Positions} from './merge.ts';

interface Row {
  readonly id: string;
}

const anId = fc.string({unit: fc.constantFrom('0', '1', 'a', 'f'), minLength: 1, maxLength: 6});

const readShard = (rows: readonly string[], after: string | undefined, limit: number): Row[] =>
  rows
    .filter((id) => after === undefined || id > after)
    .slice(0, limit + 1)
    .map((id) => ({id}));

const byId = (limit: number, before: Positions<string>) => ({
  placeOf: ({id}: Row) => id,
  compare: (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0),
  limit,
  before,
});

describe('mergePages', () => {
  test('visits every row of every shard exactly once, in order, whatever the page size and wherever shards cut it', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anId, {maxLength: 60}),
        fc.integer({min: 1, max: 5}),
        fc.integer({min: 1, max: 20}),
        fc.integer({min: 1, max: 20}),
        (ids, shardCount, limit, most) => {
          const shards = Array.from({length: shardCount}, (_, shard) =>
            ids.filter((_id, index) => index % shardCount === shard).sort(),
          );
          const seen: string[] = [];
          let positions: Positions<string> = new Map();
          for (let turn = 0; turn <= ids.length; turn++) {
            const pages = shards.map((ids, shard) => {
              const rows = readShard(ids, positions.get(shard), limit);
              return {shard, rows: rows.slice(0, most), end: rows.length > most ? rows[most - 1]?.id : undefined};
            });
            const page = mergePages(pages, byId(limit, positions));
            seen.push(...page.rows.map(({id}) => id));
            positions = page.positions;
            if (!page.hasNextPage) break;
          }
          expect(seen).toEqual([...ids].sort());
        },
      ),
    );
  });

  test('loses and repeats nothing when shards come and go between the pages', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anId, {maxLength: 40}),
        fc.array(fc.tuple(fc.boolean(), fc.boolean()), {maxLength: 20}),
        fc.integer({min: 1, max: 7}),
        (ids, outages, limit) => {
          const shards = [0, 1].map((shard) => ids.filter((_id, index) => index % 2 === shard).sort());
          const seen: string[] = [];
          let positions: Positions<string> = new Map();
          const turns = [...outages, ...Array.from({length: ids.length + 1}, () => [false, false] as const)];
          for (const down of turns) {
            const pages = shards.flatMap((rows, shard) =>
              down[shard] === true ? [] : [{shard, rows: readShard(rows, positions.get(shard), limit)}],
            );
            const page = mergePages(pages, byId(limit, positions));
            seen.push(...page.rows.map(({id}) => id));
            positions = page.positions;
          }
          expect(new Set(seen).size).toBe(seen.length);
          expect([...seen].sort()).toEqual([...ids].sort());
        },
      ),
    );
  });

  test('goes on where the first shard was looked at no further, also when that brought no row', () => {
    const page = mergePages(
      [
        {shard: 0, rows: [{id: 'c'}], end: 'd'},
        {shard: 1, rows: [{id: 'a'}, {id: 'e'}]},
        {shard: 2, rows: [], end: 'b'},
      ],
      byId(5, new Map([[0, 'a1']])),
    );
    expect(page.rows).toEqual([{id: 'a', shard: 1}]);
    expect(page.hasNextPage).toBe(true);
    expect([...page.positions]).toEqual([
      [0, 'b'],
      [1, 'b'],
      [2, 'b'],
    ]);
  });

  test('names the shard that each row came from', () => {
    const page = mergePages(
      [
        {shard: 0, rows: [{id: 'b'}]},
        {shard: 1, rows: [{id: 'a'}]},
      ],
      byId(5, new Map()),
    );
    expect(page.rows).toEqual([
      {id: 'a', shard: 1},
      {id: 'b', shard: 0},
    ]);
  });
});
