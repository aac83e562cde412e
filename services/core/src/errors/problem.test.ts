import {expect, test} from '@jest/globals';
import {AppError, describeError} from './app-error.ts';
import {problemOf} from './problem.ts';

test('a known error tells its caller what and where', () => {
  const error = new AppError('bad-request', 'the body is wrong', {
    errors: [{pointer: '/a', detail: 'is missing'}],
    extra: {max: 3},
  });
  expect(problemOf(error, 'request-1').body).toEqual({
    type: 'urn:pisync:problem:bad-request',
    title: 'Bad request',
    status: 400,
    code: 'bad-request',
    detail: 'the body is wrong',
    instance: 'urn:pisync:request:request-1',
    errors: [{pointer: '/a', detail: 'is missing'}],
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
