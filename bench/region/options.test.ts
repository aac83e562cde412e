import {expect, test} from '@jest/globals';
import {parseCommand} from './options.ts';

const known = ['herd', 'day'];

test('everything is measured in three rounds unless it is to be quick', () => {
  expect(parseCommand([], known)).toMatchObject({kind: 'run', options: {rounds: 3, records: 20, scenarios: []}});
  expect(parseCommand(['--quick', '--scenario', 'herd'], known)).toMatchObject({
    options: {rounds: 1, scenarios: ['herd']},
  });
});

test('a wrong command line is told all its problems at once', () => {
  expect(parseCommand(['--rounds', '0', '--scenario', 'week', '--within', '5'], known)).toEqual({
    kind: 'wrong',
    problems: [
      '--rounds must be a whole number of at least 1, not "0"',
      'there is no scenario week; there are herd, day',
      '--within needs --while',
    ],
  });
  expect(parseCommand(['--while', 'true', '--no-probes'], known)).toMatchObject({
    problems: ['--while needs the probes'],
  });
  expect(parseCommand(['--fast'], known).kind).toBe('wrong');
});
