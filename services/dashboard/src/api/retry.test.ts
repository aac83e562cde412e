import {describe, expect, test} from '@jest/globals';
import {ApiError} from './client.ts';
import {isRetried, pollMs, refetchMs, retryDelayMs, retryMs} from './retry.ts';

const away = new ApiError(503, 'away', {retryAfterMs: 2_000});
const tooMany = new ApiError(429, 'too many', {retryAfterMs: 30_000});
const ended = new ApiError(401, 'ended');
const gone = new ApiError(404, 'gone');
const broken = new ApiError(500, 'broken');

describe('a call that failed', () => {
  test('is made again in silence where that is soon', () => {
    expect([away, broken, tooMany, gone].map((error) => isRetried(0, error))).toEqual([true, true, false, false]);
    expect(isRetried(3, broken)).toBe(false);
  });

  test('is never made again before the server said', () => {
    expect([0, 1, 2].map((failures) => retryDelayMs(failures, away))).toEqual([2_000, 2_000, 4_000]);
    expect(refetchMs(15_000, tooMany)).toBe(30_000);
    expect(refetchMs(15_000, away)).toBe(15_000);
    expect(refetchMs(15_000, null)).toBe(15_000);
  });

  test('is not made again by a view whose session ended', () => {
    expect([ended, tooMany, gone, null].map((error) => pollMs(15_000, error))).toEqual([false, 30_000, 15_000, 15_000]);
  });

  test('is made again by a view that shows nothing, unless that changes nothing', () => {
    expect(retryMs(false, tooMany)).toBe(30_000);
    expect(retryMs(false, broken)).toBe(10_000);
    expect(retryMs(false, gone)).toBe(false);
    expect(retryMs(false, null)).toBe(false);
    expect(retryMs(true, tooMany)).toBe(false);
  });
});
