import {expect, test} from '@jest/globals';
import {parseFilter} from './parse-filter.ts';
import {groupsInSaved, readSavedFilter, savedFilter, shownFilter} from './saved-filter.ts';

const IDS = new Map([
  ['north', 12],
  ['north & "co"', 7],
]);

test('a filter is kept with groups by number, and shown with the names that they have by then', () => {
  const node = parseFilter(String.raw`status==late;(group=in=(north,"north & \"co\""),tags.group==north;group!=north)`);
  if (node === undefined) throw new Error('it asks for something');
  const saved = savedFilter(node, (name) => IDS.get(name) ?? NaN);
  expect(saved).toBe('status==late;(group=in=(12,7),tags.group==north;group!=12)');
  expect([...groupsInSaved(saved)].sort()).toEqual([12, 7]);
  const shown = shownFilter(saved, (id) => (id === 7 ? 'the "old" pond' : `g${id}`));
  expect(shown).toBe(String.raw`status==late;(group=in=(g12,"the \"old\" pond"),tags.group==north;group!=g12)`);
  expect(parseFilter(shown)).toBeDefined();
});

test('what another release has written is shown as it is, and asks for nothing', () => {
  for (const text of ['status~late', 'a=='])
    expect([readSavedFilter(text), shownFilter(text, String), groupsInSaved(text).size]).toEqual([undefined, text, 0]);
});
