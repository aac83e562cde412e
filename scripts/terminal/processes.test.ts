import {expect, test} from '@jest/globals';
import {isAlive, parseStat, processRef} from './processes.ts';

const stat = (name: string, status: string): string =>
  `42 (${name}) ${status} 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 200 18446744073709551615 1`;

test('reads the start time behind a name with spaces and parentheses', () => {
  expect(parseStat(42, stat('a) S (b', 'S'))).toEqual({pid: 42, startTicks: 98765});
});

test('a zombie is no process any more', () => {
  expect(parseStat(42, stat('sh', 'Z'))).toBeUndefined();
});

test('knows a living process from a later one with the same number', () => {
  const self = processRef(process.pid);
  if (self === undefined) throw new Error('this process must be found in /proc');
  expect([isAlive(self), isAlive({...self, startTicks: self.startTicks - 1})]).toEqual([true, false]);
});
