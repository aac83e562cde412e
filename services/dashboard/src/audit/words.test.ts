import {describe, expect, test} from '@jest/globals';
import {actionInWords, changesOf} from './words.ts';

describe('an entry of the audit', () => {
  test('says what was done, also what it has no words for', () => {
    expect([actionInWords('session.begin'), actionInWords('device.paint')]).toEqual(['signed in', 'device.paint']);
  });

  test.each([
    [null, {name: 'a', groups: null}, [{field: 'name', from: undefined, to: 'a'}]],
    [{name: 'a'}, null, [{field: 'name', from: 'a', to: undefined}]],
    [
      {name: 'a', group: 'n'},
      {name: null, group: 's'},
      [
        {field: 'name', from: 'a', to: undefined},
        {field: 'group', from: 'n', to: 's'},
      ],
    ],
    [null, null, []],
  ])('from %j to %j', (before, after, changes) => {
    expect(changesOf({before, after})).toEqual(changes);
  });
});
