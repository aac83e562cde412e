import {appendFileSync, mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs';
import type {FileHandle} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import type {Batch} from '../client/outbox.ts';
import {keepAside, REFUSED_FILE} from './aside.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pisync-aside-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

const batchOf = (batchSeq: number): Batch => ({
  ...{epoch: 'e1', batchSeq, mode: 'delta', reason: 'scheduled', state: {v: 1}, accepted: false},
  records: [{s: batchSeq, k: 'n', t: 1, d: {text: 'x'.repeat(100)}}],
});
const numbersIn = (file: string): number[] =>
  readFileSync(join(folder, file), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as {batchSeq: number}).batchSeq);

test('keeps the newest of what was refused, within its budget', async () => {
  for (let batchSeq = 1; batchSeq <= 20; batchSeq++) {
    expect(await keepAside(folder, batchOf(batchSeq), 'HTTP 400', 1000)).toBe(true);
  }
  const kept = [...numbersIn(`${REFUSED_FILE}.1`), ...numbersIn(REFUSED_FILE)];
  expect(kept.length).toBeGreaterThanOrEqual(5);
  expect(kept).toEqual(kept.map((_, index) => 20 - kept.length + 1 + index));
  for (const file of [REFUSED_FILE, `${REFUSED_FILE}.1`]) {
    expect(statSync(join(folder, file)).size).toBeLessThanOrEqual(1000);
  }
});

test('keeps one that is larger than the budget', async () => {
  for (const batchSeq of [1, 2]) expect(await keepAside(folder, batchOf(batchSeq), 'HTTP 400', 10)).toBe(true);
  expect([numbersIn(`${REFUSED_FILE}.1`), numbersIn(REFUSED_FILE)]).toEqual([[1], [2]]);
});

test('glues nothing to half a line that a power cut left', async () => {
  expect(await keepAside(folder, batchOf(1), 'HTTP 400')).toBe(true);
  appendFileSync(join(folder, REFUSED_FILE), '{"epoch":"e1","bat');
  expect(await keepAside(folder, batchOf(2), 'HTTP 400')).toBe(true);
  const lines = readFileSync(join(folder, REFUSED_FILE), 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => line.length > 20)).toEqual([true, false, true]);
});

test('leaves no half line on a full disk', async () => {
  expect(await keepAside(folder, batchOf(1), 'HTTP 400')).toBe(true);
  const full = async (file: FileHandle, line: string): Promise<void> => {
    await file.appendFile(line.slice(0, 20));
    throw Object.assign(new Error('no space left on device'), {code: 'ENOSPC'});
  };
  expect(await keepAside(folder, batchOf(2), 'HTTP 400', 1000, full)).toBe(false);
  expect(numbersIn(REFUSED_FILE)).toEqual([1]);
});
