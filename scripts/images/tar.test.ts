import {spawnSync} from 'node:child_process';
import {expect, test} from '@jest/globals';
import {tarEnd, tarHeader, tarPadding} from './tar.ts';

test('tar reads what is written', () => {
  const content = Buffer.from('hello\n');
  const archive = Buffer.concat([
    tarHeader('some/file', content.length, 0o755),
    content,
    tarPadding(content.length),
    tarEnd(),
  ]);
  expect(archive.length % 512).toBe(0);
  const list = spawnSync('tar', ['tvf', '-'], {input: archive, encoding: 'utf8', env: {...process.env, TZ: 'UTC'}});
  expect(list.stderr).toBe('');
  expect(list.stdout).toMatch(/^-rwxr-xr-x 0\/0 +6 1970-01-01 00:00 some\/file\n$/);
  expect(spawnSync('tar', ['xOf', '-'], {input: archive, encoding: 'utf8'}).stdout).toBe('hello\n');
});

test.each([
  [0, 0],
  [1, 511],
  [512, 0],
  [513, 511],
])('fills %i bytes up to whole blocks with %i', (size, padding) => {
  expect(tarPadding(size)).toHaveLength(padding);
});

test('refuses a name that would be cut off', () => {
  expect(() => tarHeader('x'.repeat(101), 0)).toThrow('longer than 100 bytes');
});
