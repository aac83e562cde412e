import {describe, expect, test} from '@jest/globals';
import type {Device} from '../api/types.ts';
import {changesOf, editedOf, type EditedDevice, faultIn} from './device-changes.ts';

// What is edited of a device is all that is looked at.
const device = {name: 'attic', group: 'north', tags: {site: 'oak', floor: '2'}} as unknown as Device;
const edited = editedOf(device);
const withTags = (...tags: readonly (readonly [string, string])[]): EditedDevice => ({
  ...edited,
  tags: tags.map(([name, value], key) => ({key, name, value})),
});

describe('what is sent', () => {
  test.each<[string, EditedDevice, object | undefined]>([
    ['nothing', edited, undefined],
    ['a name', {...edited, name: 'cellar'}, {name: 'cellar'}],
    ['no name', {...edited, name: ''}, {name: null}],
    ['a group', {...edited, group: 'south'}, {group: 'south'}],
    ['a tag more', withTags(['site', 'oak'], ['floor', '2'], ['x', 'y']), {tags: {x: 'y'}}],
    ['a tag without a value', withTags(['site', 'oak'], ['floor', '2'], ['x', '']), {tags: {x: ''}}],
    ['a line that nobody filled in', withTags(['site', 'oak'], ['floor', '2'], ['', '']), undefined],
    ['another order', withTags(['floor', '2'], ['site', 'oak']), undefined],
    ['a tag less', withTags(['site', 'oak']), {tags: {floor: null}}],
    ['a tag that is called otherwise', withTags(['site', 'oak'], ['level', '2']), {tags: {floor: null, level: '2'}}],
  ])('%s', (_what, now, changes) => {
    expect(changesOf(device, now)).toEqual(changes);
  });

  test('a device without a name that gets none is not changed', () => {
    const nameless = {...device, name: null};
    expect(changesOf(nameless, editedOf(nameless))).toBeUndefined();
  });
});

test.each([
  ['no tag', withTags(), undefined],
  ['a tag without a name', withTags(['', 'x']), 'A tag has no name.'],
  ['a name twice', withTags(['a', 'x'], ['b', 'y'], ['a', 'z']), 'Two tags have the same name.'],
])('%s', (_what, now, fault) => {
  expect(faultIn(now)).toBe(fault);
});
