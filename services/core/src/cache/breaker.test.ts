import {expect, test} from '@jest/globals';
import {createBreaker} from './breaker.ts';

test('a breaker opens after failures in a row, lets one through after the pause, and closes on its success', () => {
  let time = 0;
  const breaker = createBreaker({threshold: 2, pauseMs: 100, now: () => time});
  breaker.failed();
  expect(breaker.allows()).toBe(true);
  breaker.failed();
  expect(breaker.allows()).toBe(false);
  time = 100;
  expect([breaker.allows(), breaker.allows()]).toEqual([true, false]);
  breaker.failed();
  time = 199;
  expect(breaker.allows()).toBe(false);
  time = 200;
  expect(breaker.allows()).toBe(true);
  breaker.succeeded();
  expect([breaker.allows(), breaker.allows()]).toEqual([true, true]);
});
