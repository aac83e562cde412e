import {describe, expect, test} from '@jest/globals';
import type {Scope} from '@pisync/core/devices/scope';
import type {DeviceCondition} from '@pisync/core/filters/device-condition';
import {parseFilter} from '@pisync/core/filters/parse-filter';
import {parseDeviceFilter} from '../filters/device-filter.ts';
import {listCondition} from './list-condition.ts';

const IDS = new Map([
  ['north', 2],
  ['south', 3],
  ['west', 4],
]);
const world = {
  nowMs: 0,
  groups: {
    idOf: (name: string) => IDS.get(name),
    filterOf: (name: string) => (name === 'dry' ? parseFilter('group=in=(3,4);status==late') : undefined),
  },
};
const conditionOf = (filter: string, scope: Scope, q?: string): DeviceCondition =>
  listCondition({scope, q, filter: parseDeviceFilter({filter}), world});
const inGroups = (...values: number[]) => ({kind: 'is', field: 'group', values, not: false});

describe('what devices of a list fulfil', () => {
  test('all of them are of the scope, whatever else is asked for', () => {
    expect(conditionOf('shard==0,group==north', [2, 3], 'attic')).toEqual({
      kind: 'and',
      of: [
        inGroups(2, 3),
        {kind: 'search', text: 'attic'},
        {kind: 'or', of: [{kind: 'shard', shards: [0], not: false}, inGroups(2)]},
      ],
    });
    expect(conditionOf('shard==0', undefined)).toEqual({kind: 'shard', shards: [0], not: false});
  });

  test('an index finds the groups of a scope, and no index all groups', () => {
    expect(conditionOf('name!=x', [2, 3])).toHaveProperty('kind', 'and');
    expect(() => conditionOf('name!=x', undefined)).toThrow('cannot be used');
  });

  test.each(['group==NAME', 'group!=NAME', 'group=in=(NAME,north)', 'group==NAME,status==late'])(
    '%s is the same for a group that is none of the scope and for one that is not there',
    (filter) => {
      const of = (name: string): DeviceCondition => conditionOf(filter.replace('NAME', name), [2, 3]);
      expect(of('west')).toEqual(of('nowhere'));
      expect(of('dry')).toEqual(of('nowhere'));
      expect(conditionOf(filter.replace('NAME', 'dry'), undefined, 'attic')).not.toEqual(
        conditionOf(filter.replace('NAME', 'nowhere'), undefined, 'attic'),
      );
      expect(of('south')).not.toEqual(of('nowhere'));
    },
  );
});
