import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {lockOwner, withLock} from './lock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
});
afterEach(() => rmSync(folder, {recursive: true}));
const log = (): void => undefined;

test('lets one at a time in, and leaves nothing', async () => {
  const path = join(folder, 'x.lock');
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    await new Promise(setImmediate);
    inside--;
  };
  await Promise.all([withLock(path, {log}, work), withLock(path, {log}, work)]);
  expect(most).toBe(1);
  expect(existsSync(path)).toBe(false);
});

test('takes over from a process that is dead', async () => {
  const path = join(folder, 'x.lock');
  // Above the largest process id that Linux gives out (2^22).
  writeFileSync(path, '5000000');
  await expect(withLock(path, {log}, () => Promise.resolve('ours'))).resolves.toBe('ours');
});

test('takes over from a process whose number is another one’s by now', async () => {
  const path = join(folder, 'x.lock');
  writeFileSync(path, `${process.pid} 1`);
  await expect(withLock(path, {log}, () => Promise.resolve('ours'))).resolves.toBe('ours');
});

test('knows its owner while the work runs', async () => {
  const path = join(folder, 'x.lock');
  await expect(withLock(path, {log}, () => Promise.resolve(lockOwner(path)))).resolves.toBe(process.pid);
  expect(lockOwner(path)).toBeUndefined();
});

test('waits for a living owner only as long as it is wanted', async () => {
  const path = join(folder, 'x.lock');
  writeFileSync(path, String(process.pid));
  const said: string[] = [];
  const wait = withLock(path, {log: (line) => said.push(line), signal: AbortSignal.timeout(50)}, () =>
    Promise.resolve(),
  );
  await expect(wait).rejects.toThrow('aborted');
  expect(said).toEqual([`waiting for process ${process.pid}, which holds ${path}`]);
});
