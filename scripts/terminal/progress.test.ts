import {describe, expect, test} from '@jest/globals';
import {formatDuration, renderStep, startable, type StepState} from './progress.ts';

const done: StepState = {kind: 'done', tookMs: 1};
const waiting: StepState = {kind: 'waiting'};
const running: StepState = {kind: 'running', sinceMs: 0, lastLine: ''};

describe('startable', () => {
  const steps = [{name: 'a'}, {name: 'b', needs: ['a']}, {name: 'c', needs: ['a', 'b']}];
  const names = (states: readonly StepState[]): readonly string[] =>
    startable(steps, new Map(steps.map(({name}, index) => [name, states[index] ?? waiting]))).map(({name}) => name);

  test.each<[string, readonly StepState[], readonly string[]]>([
    ['starts what needs nothing', [waiting, waiting, waiting], ['a']],
    ['waits for what is running', [running, waiting, waiting], []],
    ['starts what has all that it needs', [done, waiting, waiting], ['b']],
    ['waits for every need', [done, running, waiting], []],
    ['starts nothing after a failure of what is needed', [{kind: 'failed', tookMs: 1}, waiting, waiting], []],
    ['starts nothing twice', [done, done, done], []],
  ])('%s', (_name, states, expected) => {
    expect(names(states)).toEqual(expected);
  });

  test('names the need that is no step', () => {
    expect(() => startable([{name: 'a', needs: ['x']}], new Map([['a', waiting]]))).toThrow('"a" needs "x"');
  });
});

test.each([
  [0, '0.0s'],
  [1_240, '1.2s'],
  [42_400, '42s'],
  [185_000, '3m05s'],
])('shows %i ms as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('keeps a moving line within the terminal and free of control characters', () => {
  const line = renderStep(
    'go',
    {kind: 'running', sinceMs: 0, lastLine: `\u001b[31mred\u001b[0m\r${'x'.repeat(200)}`},
    5_000,
    40,
  );
  expect(line.length).toBeLessThan(40);
  expect(line).toMatch(/^ {2}> go {2}5\.0s {2} red/);
});
