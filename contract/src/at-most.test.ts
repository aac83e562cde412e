import {expect, test} from '@jest/globals';
import {z} from 'zod';
import {atMost} from './at-most.ts';

const schema = atMost(3, z.int());

test('a list has up to so many elements, each of which is checked', () => {
  expect(schema.parse([1, 2, 3])).toEqual([1, 2, 3]);
  expect(schema.safeParse(['a', 2, 'c']).error?.issues).toHaveLength(2);
});

test('of a longer one no element is looked at', () => {
  expect(schema.safeParse(new Array(1_000).fill('a')).error?.issues).toMatchObject([{code: 'too_big'}]);
});
