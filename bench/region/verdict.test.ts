import {expect, test} from '@jest/globals';
import {verdictOf} from './verdict.ts';

test.each([
  ['as fast', [100, 100, 100], true],
  ['slower by as much as is allowed', [120, 120, 120], true],
  ['slower', [121, 121, 121], false],
  ['slower in one round of three', [100, 900, 100], true],
])('%s while something goes on', (_what, during, isKept) => {
  expect(verdictOf([100, 100, 100], during, 20)).toMatchObject({limit: 120, isKept});
});

test('rounds that lie apart without it excuse as much with it, which is told', () => {
  expect(verdictOf([90, 100, 140], [165, 165, 165], 20)).toMatchObject({limit: 170, isKept: true, isVague: true});
  expect(verdictOf([95, 100, 115], [120, 120, 120], 20)).toMatchObject({limit: 140, isKept: true, isVague: false});
});
