import {expect, test} from '@jest/globals';
import {superseded} from './prune.ts';

test('keeps the three newest of each name, and what it does not know', () => {
  const names = ['a', 'b', 'c', 'd', 'e'].map((digit) => `pisync-${digit.repeat(12)}.tar`);
  const entries = [
    ...names.map((name, index) => ({name, usedMs: index})),
    {name: 'pisync-operator-000000000000.tar', usedMs: 0},
    ...[1, 2, 3, 4].map((digit) => ({name: `containerd-${String(digit).repeat(16)}`, usedMs: 10 - digit})),
    {name: 'containerd-building-a1B2c3', usedMs: 0},
    {name: 'notes.txt', usedMs: 0},
    {name: `${names[0] ?? ''}.lock`, usedMs: 0},
  ];
  expect(superseded(entries).map(({name}) => name)).toEqual([names[1], names[0], `containerd-${'4'.repeat(16)}`]);
});
