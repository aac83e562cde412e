import {PassThrough} from 'node:stream';
import {expect, test} from '@jest/globals';
import {logTo} from './log.ts';

test('keeps a bounded number of lines for a reader that reads nothing, and goes on when it reads again', () => {
  const stream = new PassThrough();
  const log = logTo(stream, () => 0);
  for (let line = 0; line < 10_000; line++) log('x'.repeat(100));
  const kept = stream.readableLength + stream.writableLength;
  expect(kept).toBeGreaterThan(10_000);
  expect(kept).toBeLessThan(200_000);
  stream.resume();
  log('more');
  expect(stream.writableLength).toBeLessThan(kept);
});
