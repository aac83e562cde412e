import {expect, test} from '@jest/globals';
import {processTimes} from './process-times.ts';

test("a process's times are read behind its name, which may hold anything", () => {
  const stat = `7 (a (b) c) S 5 ${'0 '.repeat(9)}3 4 5 6 20 0`;
  expect(processTimes(stat)).toEqual({parent: '5', own: 70_000, endedChildren: 110_000});
  expect(processTimes('').own).toBeNaN();
});
