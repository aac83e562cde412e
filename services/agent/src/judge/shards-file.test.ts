import {expect, test} from '@jest/globals';
import {parseShards} from './shards-file.ts';

const SHARD = 'postgres://pisync:secret@10.0.0.1:5432/pisync';

test('every line is a shard, empty ones are none', () => {
  expect(parseShards(`${SHARD}\n\n  ${SHARD}2 \r\n`, 'shards')).toEqual([SHARD, `${SHARD}2`]);
});

test.each([
  ['no line', '\n', 'shards lists no shard'],
  ['no URL', `${SHARD}\nsecret`, 'line 2 of shards'],
  ['another scheme', 'http://pisync:secret@10.0.0.1/', 'line 1 of shards'],
])('a file with %s is refused without its content', (_what, text, message) => {
  let refused = '';
  try {
    parseShards(text, 'shards');
  } catch (error) {
    refused = String(error);
  }
  expect(refused).toContain(message);
  expect(refused).not.toContain('secret');
});
