import {expect, test} from '@jest/globals';
import {parseCommand} from './usage.ts';

test('a command after -- keeps its own options', () => {
  expect(parseCommand(['exec', '--', 'kubectl', 'get', '--help'])).toEqual({
    kind: 'exec',
    argv: ['kubectl', 'get', '--help'],
  });
});

test.each([[['up', 'now']], [['exec', '--']], [['power-off']], [['heal', 'n1', 'n2']], [['down', '-f']], [['start']]])(
  'refuses %j',
  (argv) => {
    expect(() => parseCommand(argv)).toThrow();
  },
);
