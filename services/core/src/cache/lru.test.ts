import {expect, test} from '@jest/globals';
import {createLru} from './lru.ts';

test('the entry that was not used for longest goes first', () => {
  const lru = createLru<number>(2, () => 0);
  lru.set('a', 1, 10);
  lru.set('b', 2, 10);
  lru.get('a');
  lru.set('c', 3, 10);
  expect(['a', 'b', 'c'].map((key) => lru.get(key))).toEqual([1, undefined, 3]);
});

test('an entry is gone when its time is over', () => {
  let time = 0;
  const lru = createLru<number>(2, () => time);
  lru.set('a', 1, 10);
  time = 9;
  expect(lru.get('a')).toBe(1);
  time = 10;
  expect(lru.get('a')).toBeUndefined();
});
