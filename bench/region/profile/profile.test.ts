import {expect, test} from '@jest/globals';
import {functionTimes} from './profile.ts';

test('shares are of the time in which something was done, by function whatever called it', () => {
  const frame = (functionName: string) => ({functionName, url: '', lineNumber: 0});
  const profile = {
    nodes: [
      {id: 1, callFrame: frame('(idle)')},
      {id: 2, callFrame: frame('parse')},
      {id: 3, callFrame: frame('parse')},
      {id: 4, callFrame: frame('')},
    ],
    samples: [1, 2, 3, 4, 1],
    timeDeltas: [500, 100, 200, 100, 900],
  };
  expect(functionTimes(profile)).toEqual([
    {name: 'parse', share: 0.75},
    {name: '(anonymous)', share: 0.25},
  ]);
});
