import {expect, test} from '@jest/globals';
import {cmdAcksOf} from './cmd-acks.ts';

const ID = '00000000-0000-4000-8000-000000000001';

test.each([
  [undefined, []],
  [null, []],
  [{}, []],
  [{cmdAcks: ID}, []],
  [{cmdAcks: [ID, 7, 'c1', null]}, [ID]],
  [{cmdAcks: Array.from({length: 100}, () => ID)}, Array.from({length: 20}, () => ID)],
])('of %j the ids count, and not too many', (pull, ids) => {
  expect(cmdAcksOf(pull)).toEqual(ids);
});
