import {expect, test} from '@jest/globals';
import {AppError} from './app-error.ts';

test('an error with further members is the same in all else', () => {
  const same = {
    cause: new Error('full'),
    errors: [{pointer: '/a', detail: 'b'}],
    retryAfterSeconds: 3,
    headers: {Allow: 'GET'},
  };
  const error = new AppError('overloaded', 'come back later', {...same, extra: {one: 1}});
  expect(error.with({two: 2})).toMatchObject({
    ...same,
    code: 'overloaded',
    message: 'come back later',
    extra: {one: 1, two: 2},
  });
});
