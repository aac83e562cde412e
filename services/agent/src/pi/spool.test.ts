import {existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import fc from 'fast-check';
import type {OutboxEntry} from '../client/outbox.ts';
import type {Reserve} from './reserve.ts';
import {dropFor, openSpool, replay, type Spool, type SpoolDisk} from './spool.ts';

let folder: string;
const file = (): string => join(folder, 'spool.log');
const LIMITS = {maxQueued: 10, compactBytes: 1000};

let lostNumbers: string[];
const lost = (recovery: string): Promise<void> => {
  lostNumbers.push(recovery);
  return Promise.resolve();
};

const commit = async (spool: Spool, ...entries: OutboxEntry[]): Promise<void> => {
  await spool.append(entries);
  for (const entry of entries) spool.outbox.apply(entry);
};
const reading = (t: number): OutboxEntry => ({op: 'reading', reading: {k: 'n', t, d: {}}});
const SEAL: OutboxEntry = {op: 'seal', count: 2, mode: 'delta', reason: 'scheduled', state: {v: 1}};

beforeEach(() => {
  lostNumbers = [];
  folder = mkdtempSync(join(tmpdir(), 'pisync-spool-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

test('is the same after it is opened again', async () => {
  const spool = await openSpool(folder, LIMITS, lost);
  expect(spool.recovery).toBe('new');
  await commit(spool, reading(1), reading(2), reading(3), {op: 'epoch', epoch: 'e1', life: 'one'}, SEAL);
  await spool.close();
  const again = await openSpool(folder, LIMITS, lost);
  expect(again.recovery).toBe('clean');
  expect([...again.outbox.entries()]).toEqual([...spool.outbox.entries()]);
  expect(lostNumbers).toEqual(['new']);
  await again.close();
});

test.each(['new', 'corrupt'] as const)(
  'stays %s until its owner has made sure that no number is used twice, however often the power goes before that',
  async (recovery) => {
    if (recovery === 'corrupt') {
      const spool = await openSpool(folder, LIMITS, lost);
      await commit(spool, reading(1), {op: 'epoch', epoch: 'e1', life: 'one'}, reading(2), reading(3));
      await spool.close();
      const lines = readFileSync(file(), 'utf8').split('\n');
      lines[3] = 'dirt';
      writeFileSync(file(), lines.join('\n'));
    }
    const powerCut = () => Promise.reject(new Error('power cut'));
    for (let time = 0; time < 2; time++) await expect(openSpool(folder, LIMITS, powerCut)).rejects.toThrow('power cut');
    const spool = await openSpool(folder, LIMITS, lost);
    expect(spool.recovery).toBe(recovery);
    expect(spool.outbox.queued).toBe(recovery === 'corrupt' ? 1 : 0);
    await spool.close();
  },
);

test('cuts off a torn tail at any byte, and keeps every whole entry before it', async () => {
  const spool = await openSpool(folder, LIMITS, lost);
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1), reading(2), SEAL, {
    op: 'accepted',
    epoch: 'e1',
    batchSeq: 1,
  });
  await spool.close();
  const whole = readFileSync(file(), 'utf8');
  fc.assert(
    fc.property(fc.integer({min: 0, max: whole.length}), (cut) => {
      const {entries, recovery} = replay(whole.slice(0, cut));
      const complete = whole.slice(0, cut).split('\n').length - 1;
      expect(entries).toHaveLength(complete);
      expect(recovery).toBe(cut === 0 || whole[cut - 1] === '\n' ? 'clean' : 'torn');
    }),
  );
});

test('tells a bad card from a power cut, keeps what came before, and sets the file aside', async () => {
  const spool = await openSpool(folder, LIMITS, lost);
  await commit(spool, reading(1), reading(2), reading(3));
  await spool.close();
  const lines = readFileSync(file(), 'utf8').split('\n');
  lines[2] = lines[2]?.replace('"t":2', '"t":7') ?? '';
  writeFileSync(file(), lines.join('\n'));
  const again = await openSpool(folder, LIMITS, lost);
  expect(again.recovery).toBe('corrupt');
  expect(again.outbox.queued).toBe(1);
  expect(existsSync(`${file()}.corrupt`)).toBe(true);
  await again.close();
});

test('stays small while readings come and go, and drops the oldest when too many wait', async () => {
  const spool = await openSpool(folder, LIMITS, lost);
  for (let t = 0; t < 500; t++) await commit(spool, ...dropFor(spool.outbox, 1, LIMITS), reading(t));
  expect(spool.outbox).toMatchObject({queued: 10, dropped: 490});
  expect(statSync(file()).size).toBeLessThan(4000);
  await spool.close();
  const again = await openSpool(folder, LIMITS, lost);
  expect([...again.outbox.entries()].at(-1)).toEqual(reading(499));
  expect(again.outbox.dropped).toBe(490);
  await again.close();
});

/** A disk with so many bytes left, some of which may be in the reserve. A write that does not fit leaves a part behind. */
const smallDisk = (leftBytes: number, reserveBytes: number): SpoolDisk & {free: (bytes: number) => void} => {
  let left = leftBytes;
  let reserved = 0;
  const move = (bytes: number): boolean => {
    const isEnough = left >= bytes;
    if (isEnough) {
      left -= bytes;
      reserved += bytes;
    }
    return isEnough;
  };
  const reserve: Reserve = {
    take: () => Promise.resolve(reserved > 0 || move(reserveBytes)),
    give: () => Promise.resolve(reserved > 0 && move(-reserved)),
  };
  return {
    reserve,
    free: (bytes) => (left += bytes),
    async append(handle, text) {
      await handle.appendFile(text.slice(0, Math.max(left, 0)));
      if (text.length > left) throw Object.assign(new Error('no space left on device'), {code: 'ENOSPC'});
      left -= text.length;
    },
  };
};

test('on a full disk refuses readings and still writes down the delivery of those that it has', async () => {
  const disk = smallDisk(1200, 1000);
  const spool = await openSpool(folder, {...LIMITS, compactBytes: 100_000}, lost, disk);
  expect(await spool.hasRoom()).toBe(true);
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1), reading(2));
  const long: OutboxEntry = {op: 'reading', reading: {k: 'n', t: 3, d: {text: 'x'.repeat(500)}}};
  await expect(commit(spool, long)).rejects.toThrow('no space left');
  expect(await spool.hasRoom()).toBe(true);
  await commit(spool, SEAL, {op: 'accepted', epoch: 'e1', batchSeq: 1});
  expect(await spool.hasRoom()).toBe(false);
  await commit(spool, {op: 'applied', epoch: 'e1', through: 1});
  expect(spool.outbox).toMatchObject({queued: 0, applied: 1, lastBatchSeq: 1});
  disk.free(10_000);
  expect(await spool.hasRoom()).toBe(true);
  await commit(spool, long);
  await spool.close();

  const again = await openSpool(folder, LIMITS, lost);
  expect(again.recovery).toBe('clean');
  expect([...again.outbox.entries()]).toEqual([...spool.outbox.entries()]);
  await again.close();
});

test('ends when not even the reserve is enough, and is whole at the next start', async () => {
  const disk = smallDisk(320, 200);
  const spool = await openSpool(folder, {...LIMITS, compactBytes: 100_000}, lost, disk);
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1));
  const seal: OutboxEntry = {...SEAL, state: {text: 'x'.repeat(500)}};
  await expect(commit(spool, seal)).rejects.toThrow('no space left');
  await spool.close();
  const again = await openSpool(folder, LIMITS, lost);
  expect(again).toMatchObject({recovery: 'clean', outbox: {queued: 1, lastBatchSeq: 0}});
  await again.close();
});
