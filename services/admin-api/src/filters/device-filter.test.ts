import {describe, expect, test} from '@jest/globals';
import {AppError} from '@pisync/core/errors/app-error';
import {onShard} from '@pisync/core/filters/device-condition';
import {parseFilter} from '@pisync/core/filters/parse-filter';
import {filterConditions, filterText, parseDeviceFilter, requireIndexed} from './device-filter.ts';

/** Dynamic groups, as they are kept. */
const DYNAMIC: Readonly<Record<string, string>> = {
  dry: 'group=in=(3,4);lastSync<-P2D',
  first: 'shard==0;status==late',
  many: `id=in=(${Array.from({length: 30}, (_, index) => `0a3f0000-0000-4000-8000-0000000000${index + 10}`).join(',')})`,
};

const world = {
  nowMs: Date.UTC(2026, 10, 28, 12),
  groups: {
    idOf: (name: string) => (name === 'north' ? 7 : undefined),
    filterOf: (name: string) => (DYNAMIC[name] === undefined ? undefined : parseFilter(DYNAMIC[name])),
  },
};

type Query = Parameters<typeof parseDeviceFilter>[0];
const conditionOf = (query: Query) => {
  try {
    return requireIndexed(filterConditions(parseDeviceFilter(query), world));
  } catch (error) {
    if (error instanceof AppError) return {status: error.status, ...error.errors[0]};
    throw error;
  }
};

const is = (field: string, ...values: (string | number)[]) => ({kind: 'is', field, values, not: false});
const ID = '0a3f0000-0000-4000-8000-000000000001';

describe('what a filter asks devices to be like', () => {
  test.each<[Query, unknown]>([
    [{}, {kind: 'always'}],
    [{filter: ''}, {kind: 'always'}],
    [
      {filter: 'status==late', group: 'north'},
      {kind: 'and', of: [is('status', 'late'), is('group', 7)]},
    ],
    [{filter: 'group==nobody'}, {kind: 'never'}],
    [{group: 'nobody'}, {kind: 'never'}],
    [{filter: 'group=in=(north,nobody)'}, is('group', 7)],
    [{filter: `id==${ID}`}, is('id', ID)],
    [{filter: 'name==green*'}, {kind: 'prefix', field: 'name', prefix: 'green', not: false}],
    [
      {filter: 'hardwareId=in=(a,b,c*)'},
      {kind: 'or', of: [is('hardwareId', 'a', 'b'), {kind: 'prefix', field: 'hardwareId', prefix: 'c', not: false}]},
    ],
    [
      {filter: 'tags.site=in=(a,b);tags.x!=y'},
      {
        kind: 'and',
        of: [
          {kind: 'tag', key: 'site', values: ['a', 'b'], not: false},
          {kind: 'tag', key: 'x', values: ['y'], not: true},
        ],
      },
    ],
    [{filter: 'revoked!=false'}, {kind: 'flag', flag: 'revoked', set: true}],
    [{filter: 'decommissioned==true'}, {kind: 'flag', flag: 'decommissioned', set: true}],
    [
      {filter: 'disputed==true;revoked==false'},
      {
        kind: 'and',
        of: [
          {kind: 'flag', flag: 'disputed', set: true},
          {kind: 'flag', flag: 'revoked', set: false},
        ],
      },
    ],
    [{filter: 'lastSync<-P2D'}, {kind: 'time', field: 'lastSync', operator: '<', at: '2026-11-26T12:00:00.000Z'}],
    [
      {filter: 'enrolledAt=ge=2026-11-01'},
      {kind: 'time', field: 'enrolledAt', operator: '>=', at: '2026-11-01T00:00:00.000Z'},
    ],
    [
      {filter: 'enrolledAt<9999-12-31T23:59:59.999Z'},
      {kind: 'time', field: 'enrolledAt', operator: '<', at: '9999-12-31T23:59:59.999Z'},
    ],
    [
      {filter: 'statusSince>-P1WT1H30M'},
      {kind: 'time', field: 'statusSince', operator: '>', at: '2026-11-21T10:30:00.000Z'},
    ],
  ])('%j', (query, condition) => {
    expect(conditionOf(query)).toEqual(condition);
  });

  test.each<[Query, string, number | undefined, RegExp]>([
    [{status: 'asleep'}, '/status', undefined, /known are pending, on_time/],
    [{group: 'a\u0000'}, '/group', undefined, /cannot be stored/],
    [{filter: 'status==late;lastsync<1'}, '/filter', 14, /no field lastsync; known are id, name, .*tags\.<key>/],
    [{filter: 'tags==x'}, '/filter', 1, /no field tags/],
    [{filter: 'name.x==x'}, '/filter', 1, /no field name\.x/],
    [{filter: 'status==asleep'}, '/filter', 9, /one of pending, on_time/],
    [{filter: 'status==l*'}, '/filter', 9, /not searched by its beginning/],
    [{filter: 'shard==one'}, '/filter', 8, /number of a shard/],
    [{filter: 'id==0a'}, '/filter', 5, /whole id/],
    [{filter: 'revoked==yes'}, '/filter', 10, /true or false/],
    [{filter: 'name<x'}, '/filter', 1, /by <; known are ==/],
    [{filter: 'lastSync==-P2D'}, '/filter', 1, /by equality/],
    [{filter: 'lastSync<yesterday'}, '/filter', 10, /a time is expected/],
    [{filter: 'lastSync<0000-12-31T23:59:59Z'}, '/filter', 10, /a time is expected/],
    [{filter: 'lastSync<0001-01-01T00:00+14:00'}, '/filter', 10, /a time is expected/],
    [{filter: 'lastSync<9999-12-31T23:59-14:00'}, '/filter', 10, /a time is expected/],
    [{filter: 'lastSync<P'}, '/filter', 10, /a time is expected/],
    [{filter: 'name!=x'}, '/filter', undefined, /no condition that an index finds.*status==/],
    [{filter: 'revoked==false'}, '/filter', undefined, /no condition that an index finds/],
    [{filter: 'disputed!=true'}, '/filter', undefined, /no condition that an index finds/],
    [{filter: 'status==late,tags.a!=x'}, '/filter', undefined, /no condition that an index finds/],
  ])('%j is refused', (query, pointer, character, detail) => {
    expect(conditionOf(query)).toEqual({
      status: 400,
      pointer,
      detail: expect.stringMatching(detail) as unknown,
      ...(character === undefined ? {} : {character}),
    });
  });

  test('what no index finds is taken beside what one does', () => {
    for (const filter of ['status==late;name!=x', '(status==late,name==x);revoked==false', 'shard==1;name!=x'])
      expect(conditionOf({filter})).toHaveProperty('kind', 'and');
  });

  test('a shard is known before it is asked', () => {
    const condition = filterConditions(parseDeviceFilter({filter: 'shard==1;name==x,shard!=0;name==y'}), world);
    expect(onShard(condition, 0)).toEqual({kind: 'never'});
    expect(onShard(condition, 1)).toEqual({kind: 'or', of: [is('name', 'x'), is('name', 'y')]});
    expect(onShard(condition, 2)).toEqual(is('name', 'y'));
  });

  test('its text tells filters apart, and keeps relative times as they were written', () => {
    const text = (query: Query): string => filterText(parseDeviceFilter(query), world.groups);
    expect(text({filter: 'lastSync<-P2D'})).toBe(text({filter: ' lastSync < -P2D'}));
    const texts = [{}, {filter: 'status==late'}, {status: 'late'}, {group: 'late'}, {filter: 'group==late'}].map(text);
    expect(new Set(texts).size).toBe(5);
  });

  test('its text is another one once a dynamic group that it names asks for something else', () => {
    const text = (query: Query, dry: string): string =>
      filterText(parseDeviceFilter(query), {
        ...world.groups,
        filterOf: (name) => (name === 'dry' ? parseFilter(dry) : undefined),
      });
    for (const query of [{group: 'dry'}, {filter: 'status==late,group=in=(x,dry)'}]) {
      expect(text(query, 'group==3')).toBe(text(query, ' group == 3'));
      expect(text(query, 'group==3')).not.toBe(text(query, 'group==4'));
    }
  });
});

describe('a dynamic group', () => {
  const dry = {
    kind: 'and',
    of: [is('group', 3, 4), {kind: 'time', field: 'lastSync', operator: '<', at: '2026-11-26T12:00:00.000Z'}],
  };

  test.each<[Query, unknown]>([
    [{group: 'dry'}, dry],
    [{filter: 'group==dry'}, dry],
    [{filter: 'group=in=(dry,north)'}, {kind: 'or', of: [is('group', 7), dry]}],
    [{filter: 'status==late;group!=dry'}, {kind: 'and', of: [is('status', 'late'), {kind: 'not', of: dry}]}],
    [
      {filter: 'status==late;group=out=(dry,north,nobody)'},
      {kind: 'and', of: [is('status', 'late'), {kind: 'not', of: {kind: 'or', of: [is('group', 7), dry]}}]},
    ],
    [{filter: 'group!=dry'}, expect.objectContaining({status: 400, pointer: '/filter'})],
    [
      {filter: 'group==many;name=in=(a,group)', group: 'many'},
      expect.objectContaining({status: 400, detail: expect.stringMatching(/dynamic groups that ask for more than 50/)}),
    ],
    [{filter: 'group==many;group!=dry'}, expect.objectContaining({kind: 'and'})],
  ])('%j is what its filter asks for, or what it does not', (query, condition) => {
    expect(conditionOf(query)).toEqual(condition);
  });

  test('is known before a shard is asked where it goes by the shard', () => {
    const condition = filterConditions(parseDeviceFilter({filter: 'name==x;group!=first'}), world);
    expect(onShard(condition, 1)).toEqual(is('name', 'x'));
    expect(onShard(condition, 0)).toEqual({
      kind: 'and',
      of: [is('name', 'x'), {kind: 'not', of: is('status', 'late')}],
    });
  });
});
