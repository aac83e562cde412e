import {expect, test} from '@jest/globals';
import {AppError, describeError} from './app-error.ts';
import {problemOf} from './problem.ts';

test('a known error tells its caller what and where', () => {
  const error = new AppError('bad-request', 'the body is wrong', {
    errors: [{pointer: '/a', detail: 'is missing', character: 3}],
    extra: {max: 3},
  });
  expect(problemOf(error, 'request-1').body).toEqual({
    type: 'urn:pisync:problem:bad-request',
    title: 'Bad request',
    status: 400,
    code: 'bad-request',
    detail: 'the body is wrong',
    instance: 'urn:pisync:request:request-1',
    errors: [{pointer: '/a', detail: 'is missing', character: 3}],
    max: 3,
  });
});

test('an unknown error tells its caller nothing of what it says', () => {
  const {status, body} = problemOf(new Error('password is hunter2'));
  expect(status).toBe(500);
  expect(JSON.stringify(body)).not.toContain('hunter2');
});

test('a description holds the causes, also when they go in a circle', () => {
  const inner: Error & {cause?: unknown} = new Error('refused');
  expect(describeError(new AppError('internal', 'cannot open pool', {cause: inner}))).toBe('cannot open pool: refused');
  inner.cause = inner;
  expect(describeError(inner).startsWith('refused: refused')).toBe(true);
});

test('an answer repeats little of what a caller sent, and says how much it leaves out', () => {
  const pointer = `/tags/${'\0'.repeat(1_000_000)}`;
  const errors = Array.from({length: 1_000}, () => ({pointer, detail: 'x'.repeat(1_000)}));
  const {body} = problemOf(new AppError('bad-request', 'the body is wrong', {errors}));
  expect(JSON.stringify(body).length).toBeLessThan(66 * 1024);
  const shown = body.errors ?? [];
  expect(shown[0]?.pointer).toMatch(/^\/tags\/\0+…$/);
  expect(shown.at(-1)).toEqual({pointer: '', detail: `and ${1_000 - (shown.length - 1)} more`});
});
