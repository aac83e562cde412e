import {describe, expect, test} from '@jest/globals';
import {AppError} from '@pisync/core/errors/app-error';
import {z} from 'zod';
import {parseInput, parseQueryString} from './parse.ts';

const refusal = (action: () => unknown): AppError => {
  try {
    action();
  } catch (error) {
    if (error instanceof AppError) return error;
  }
  throw new Error('was not refused');
};

describe('parseInput', () => {
  test('points at every fault at once', () => {
    const schema = z.strictObject({limit: z.coerce.number().int().max(500), deep: z.object({'a/b': z.string()})});
    const error = refusal(() => parseInput(schema, {limit: '1000', deep: {'a/b': 1}, nope: 1}, 'query'));
    expect(error.code).toBe('bad-request');
    expect(error.errors.map(({pointer}) => pointer).sort()).toEqual(['/deep/a~1b', '/limit', '/nope']);
  });
});

test('what somebody sent is not repeated whole, however long or often', () => {
  const schema = z.record(z.string(), z.strictObject({a: z.number().exactOptional()}));
  const long = 'x'.repeat(60_000);
  const error = refusal(() =>
    parseInput(schema, Object.fromEntries(Array.from({length: 500}, (_, n) => [`${n}${long}`, {[long]: 1}])), 'body'),
  );
  expect(error.errors).toHaveLength(20);
  expect(`${error.message}${JSON.stringify(error.errors)}`.length).toBeLessThan(10_000);
});

describe('parseQueryString', () => {
  test('reads parameters, decoded', () => {
    expect(parseQueryString('?a=1&b=x%20y')).toEqual({a: '1', b: 'x y'});
  });

  test('refuses a parameter that is given twice', () => {
    expect(refusal(() => parseQueryString('?a=1&a=2')).errors[0]?.pointer).toBe('/a');
  });

  test('takes __proto__ as a name like any other', () => {
    expect(Object.keys(parseQueryString('?__proto__=1'))).toEqual(['__proto__']);
  });
});
