import {describe, expect, test} from '@jest/globals';
import {createLocalLimiter} from './rate-limit.ts';

describe('rate limiter', () => {
  test('lets a burst of the whole budget pass, then says when to come back, then refills', () => {
    let nowMs = 0;
    const limiter = createLocalLimiter({callsPerMinute: 60, monotonic: () => nowMs, maxKeys: 10});
    for (let call = 1; call <= 60; call++) expect(limiter.take('a').remaining).toBe(60 - call);
    expect(limiter.take('a')).toEqual({limit: 60, remaining: 0, resetSeconds: 60, waitSeconds: 1});
    expect(limiter.take('b').remaining).toBe(59);
    nowMs = 1000;
    expect(limiter.take('a').remaining).toBe(0);
    nowMs = 61_000;
    expect(limiter.take('a')).toEqual({limit: 60, remaining: 59, resetSeconds: 1, waitSeconds: 0});
  });

  test('lets what an answer cost be owed, and no more than a minute of it', () => {
    let nowMs = 0;
    const limiter = createLocalLimiter({callsPerMinute: 60, monotonic: () => nowMs, maxKeys: 10});
    limiter.charge('a', 62);
    expect(limiter.take('a')).toEqual({limit: 60, remaining: 0, resetSeconds: 62, waitSeconds: 3});
    limiter.charge('a', 1000);
    expect(limiter.take('a')).toMatchObject({remaining: 0, resetSeconds: 120, waitSeconds: 61});
    nowMs = 61_000;
    expect(limiter.take('a')).toMatchObject({remaining: 0, waitSeconds: 0});
  });

  test('remembers no more keys than its bound', () => {
    const limiter = createLocalLimiter({callsPerMinute: 2, monotonic: () => 0, maxKeys: 2});
    limiter.take('a');
    limiter.take('b');
    limiter.take('c');
    expect(limiter.take('a').remaining).toBe(1);
  });
});
