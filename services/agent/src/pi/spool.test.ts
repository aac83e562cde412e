import {mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import fc from 'fast-check';
import type {Outbox, OutboxEntry} from '../client/outbox.ts';
import {encode, type Line, replay} from './journal.ts';
import type {Reserve} from './reserve.ts';
import {dropFor, openSpool, type Spool, type SpoolDisk} from './spool.ts';

let folder: string;
const file = (): string => join(folder, 'spool.log');
const LIMITS = {maxQueued: 10, compactBytes: 1000};

const commit = async (spool: Spool, ...entries: OutboxEntry[]): Promise<void> => {
  await spool.append(entries);
  for (const entry of entries) spool.outbox.apply(entry);
};
const reading = (t: number): OutboxEntry => ({op: 'reading', reading: {k: 'n', t, d: {}}});
/** Of all readings that it has, in batches and not. */
const timesIn = (outbox: Outbox): number[] =>
  [...outbox.entries()].flatMap((entry) =>
    entry.op === 'batch' ? entry.batch.records.map(({t}) => t) : entry.op === 'reading' ? [entry.reading.t] : [],
  );
const SEAL: OutboxEntry = {op: 'seal', count: 2, mode: 'delta', reason: 'scheduled', state: {v: 1}};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pisync-spool-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

test('is the same after it is opened again', async () => {
  const spool = await openSpool(folder, LIMITS);
  expect(spool.recovery).toBe('new');
  await commit(spool, reading(1), reading(2), reading(3), {op: 'epoch', epoch: 'e1', life: 'one'}, SEAL);
  await spool.close();
  const again = await openSpool(folder, LIMITS);
  expect(again.recovery).toBe('clean');
  expect([...again.outbox.entries()]).toEqual([...spool.outbox.entries()]);
  await again.close();
});

test('cuts off a torn tail at any byte, and keeps every whole entry before it', async () => {
  const spool = await openSpool(folder, LIMITS);
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

test.each([
  ['zeros', (whole: string) => `${whole}${'\0'.repeat(4096)}`],
  ['ones', (whole: string) => Buffer.concat([Buffer.from(whole), Buffer.alloc(4096, 0xff)]).toString()],
  ['a line that is whole and wrong', (whole: string) => whole.replace(/.\n$/, 'x\n')],
  ['what a newer agent wrote', (whole: string) => `${whole}${encode({op: 'newer'} as unknown as Line)}`],
])('%s at the end are no power cut', async (_what, spoil) => {
  const spool = await openSpool(folder, LIMITS);
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1), SEAL, {
    op: 'accepted',
    epoch: 'e1',
    batchSeq: 1,
  });
  await spool.close();
  const {recovery, lostLines, entries} = replay(spoil(readFileSync(file(), 'utf8')));
  expect({recovery, lostLines}).toEqual({recovery: 'corrupt', lostLines: 1});
  // So that the next number is one of a new epoch.
  expect(entries[0]).toMatchObject({op: 'start', lost: true});
});

/** The journal with one line changed, as a bad card does it. @returns the line before */
const damage = (index: number): void => {
  const lines = readFileSync(file(), 'utf8').split('\n');
  lines[index] = lines[index]?.replace('op', 'oq') ?? '';
  writeFileSync(file(), lines.join('\n'));
};

test.each([0, 1, 2, 3, 4, 5, 6])(
  'with a bad line %i has every reading of the others, says that one is lost, and needs a new epoch, also at the next start',
  async (bad) => {
    const spool = await openSpool(folder, LIMITS);
    const epoch: OutboxEntry = {op: 'epoch', epoch: 'e1', life: 'one'};
    // Line 0 is the start.
    await commit(spool, epoch, reading(1), reading(2), reading(3), SEAL, reading(4), reading(5));
    await spool.close();
    damage(bad);
    const again = await openSpool(folder, LIMITS);
    expect(again).toMatchObject({
      recovery: 'corrupt',
      lostLines: 1,
      outbox: {dropped: 0, lostLines: 1, areNumbersLost: true},
    });
    const kept = timesIn(again.outbox);
    const isReading = bad >= 2 && bad !== 5;
    expect(kept).toHaveLength(isReading ? 4 : 5);
    await commit(again, reading(6));
    await again.close();
    const third = await openSpool(folder, LIMITS);
    expect(third).toMatchObject({
      recovery: 'clean',
      lostLines: 0,
      outbox: {dropped: 0, lostLines: 1, areNumbersLost: true},
    });
    expect(timesIn(third.outbox)).toEqual([...kept, 6]);
    await commit(third, {op: 'epoch', epoch: 'e2', life: 'two'});
    expect(third.outbox.areNumbersLost).toBe(false);
    await third.close();
  },
);

test('keeps what a compacted journal has behind the damage: batches, and what is known of them', async () => {
  const spool = await openSpool(folder, LIMITS);
  await commit(
    spool,
    {op: 'epoch', epoch: 'e1', life: 'one'},
    reading(1),
    reading(2),
    SEAL,
    reading(3),
    reading(4),
    SEAL,
  );
  await spool.close();
  await (await openSpool(folder, LIMITS)).close();
  const compacted = await openSpool(folder, LIMITS);
  await commit(compacted, {op: 'accepted', epoch: 'e1', batchSeq: 1}, {op: 'applied', epoch: 'e1', through: 1});
  await compacted.close();
  damage(0);
  const again = await openSpool(folder, LIMITS);
  expect(again.outbox.batches).toMatchObject([{epoch: 'e1', batchSeq: 2, accepted: false}]);
  await again.close();
});

test('does not send a batch under its number where the bad line may have numbered it anew', async () => {
  const spool = await openSpool(folder, LIMITS);
  const reopen: OutboxEntry = {op: 'reopen', epoch: 'e1', batchSeq: 1};
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1), reading(2), SEAL, reopen);
  await commit(spool, {...SEAL, count: 1}, {op: 'accepted', epoch: 'e1', batchSeq: 1});
  await commit(spool, {op: 'applied', epoch: 'e1', through: 1});
  await spool.close();
  damage(5);
  const again = await openSpool(folder, LIMITS);
  // What the batch behind it sent is known as applied.
  expect({batches: again.outbox.batches, times: timesIn(again.outbox)}).toEqual({batches: [], times: [2]});
  await again.close();
});

test.each([
  [0, 'before all', []],
  [2, 'in a reading of a batch that is applied', [2]],
  [4, 'in its seal', [1, 2]],
  [5, 'behind its seal', [1, 2]],
  [6, 'where it is applied', []],
  [7, 'in a reading of the next batch', [4]],
] as const)(
  'sends nothing again that it can tell is applied, with a bad line %i, which is %s',
  async (bad, _where, again) => {
    const spool = await openSpool(folder, {...LIMITS, compactBytes: 100_000});
    await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1), reading(2));
    for (const batchSeq of [1, 2]) {
      if (batchSeq === 2) await commit(spool, reading(3), reading(4));
      await commit(spool, SEAL);
      await commit(spool, {op: 'accepted', epoch: 'e1', batchSeq});
      await commit(spool, {op: 'applied', epoch: 'e1', through: batchSeq});
    }
    await commit(spool, reading(5), reading(6), reading(7));
    await commit(spool, SEAL);
    await spool.close();
    damage(bad);
    const opened = await openSpool(folder, LIMITS);
    const {outbox} = opened;
    expect({times: timesIn(outbox), batches: outbox.batches}).toEqual({
      times: [5, 6, ...again, 7],
      batches: [
        {
          ...{epoch: 'e1', batchSeq: 3, mode: 'delta', reason: 'scheduled', state: {v: 1}, accepted: false},
          records: [
            {s: 5, k: 'n', t: 5, d: {}},
            {s: 6, k: 'n', t: 6, d: {}},
          ],
        },
      ],
    });
    await opened.close();
  },
);

test('keeps the damaged file of this time and of the time before, however often it starts', async () => {
  const kept: string[] = [];
  for (const time of [1, 2]) {
    const spool = await openSpool(folder, LIMITS);
    await commit(spool, reading(time), reading(time));
    await spool.close();
    damage(1);
    const damaged = readFileSync(file());
    kept.unshift(damaged.toString());
    for (let start = 0; start < 2; start++) {
      writeFileSync(file(), damaged);
      await (await openSpool(folder, LIMITS)).close();
    }
  }
  expect([`${file()}.corrupt`, `${file()}.corrupt.1`].map((path) => readFileSync(path, 'utf8'))).toEqual(kept);
});

/** Errors of a disk that a test makes. */
const failure = (code: string): Error => Object.assign(new Error(code), {code});

test('writes nothing behind a file of which it is not certain that it stays, and goes on with the next that is', async () => {
  let isBad = false;
  const disk: SpoolDisk = {
    ...smallDisk(1e6, 100),
    syncFolder: () => (isBad ? Promise.reject(failure('EIO')) : Promise.resolve()),
  };
  const spool = await openSpool(folder, LIMITS, disk);
  for (let t = 0; t < 20; t++) await commit(spool, reading(t));
  isBad = true;
  const grow = async (): Promise<void> => {
    for (let t = 0; t < 1000; t++) await commit(spool, ...dropFor(spool.outbox, 1, LIMITS), reading(t));
  };
  await expect(grow()).rejects.toThrow('EIO');
  await expect(commit(spool, reading(21))).rejects.toThrow('EIO');
  await expect(spool.settle()).rejects.toThrow('EIO');
  isBad = false;
  await spool.settle();
  await commit(spool, reading(22));
  await spool.close();
  const again = await openSpool(folder, LIMITS);
  expect([...again.outbox.entries()]).toEqual([...spool.outbox.entries()]);
  await again.close();
});

test('takes back what a failing card may have kept of a write that it refused', async () => {
  let isFailing = false;
  const disk: SpoolDisk = {
    ...smallDisk(1e6, 100),
    async append(handle, text) {
      await handle.appendFile(text);
      if (!isFailing) return;
      await handle.close();
      throw failure('EIO');
    },
  };
  const spool = await openSpool(folder, LIMITS, disk);
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1), SEAL);
  isFailing = true;
  await expect(commit(spool, {op: 'reopen', epoch: 'e1', batchSeq: 1})).rejects.toThrow('EIO');
  isFailing = false;
  expect(replay(readFileSync(file(), 'utf8')).entries.at(-1)).toMatchObject({op: 'reopen'});
  await spool.settle();
  await spool.close();
  const again = await openSpool(folder, LIMITS);
  expect(again.outbox.batches).toMatchObject([{batchSeq: 1, records: [{t: 1}]}]);
  await again.close();
});

test('has every reading of what can be read of a card, and needs a new epoch', async () => {
  const spool = await openSpool(folder, {...LIMITS, compactBytes: 1e6});
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'});
  for (let t = 0; t < 200; t++) await commit(spool, reading(t));
  await spool.close();
  const all = readFileSync(file());
  const disk: SpoolDisk = {
    ...smallDisk(1e6, 100),
    read(_handle, bytes, at) {
      if (at === 4096) return Promise.reject(failure('EIO'));
      all.copy(bytes, at, at, at + 4096);
      return Promise.resolve();
    },
  };
  const again = await openSpool(folder, LIMITS, disk);
  expect(again).toMatchObject({recovery: 'corrupt', outbox: {areNumbersLost: true}});
  const times = timesIn(again.outbox);
  expect(times.slice(0, 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(times.at(-1)).toBe(199);
  expect(times.length).toBeGreaterThan(100);
  await again.close();
});

test('stays small while readings come and go, and drops the oldest when too many wait', async () => {
  const spool = await openSpool(folder, LIMITS);
  for (let t = 0; t < 500; t++) await commit(spool, ...dropFor(spool.outbox, 1, LIMITS), reading(t));
  expect(spool.outbox).toMatchObject({queued: 10, dropped: 490});
  expect(statSync(file()).size).toBeLessThan(4000);
  await spool.close();
  const again = await openSpool(folder, LIMITS);
  expect([...again.outbox.entries()].at(-1)).toEqual(reading(499));
  expect(again.outbox.dropped).toBe(490);
  await again.close();
});

test('drops none that were in a batch before when too many wait, also after a start', async () => {
  const spool = await openSpool(folder, LIMITS);
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1), reading(2), SEAL);
  await commit(spool, {op: 'accepted', epoch: 'e1', batchSeq: 1}, {op: 'vacate', epoch: 'e1', batchSeq: 1});
  for (let t = 3; t < 10; t++) await commit(spool, reading(t));
  await spool.close();
  const again = await openSpool(folder, LIMITS);
  for (let t = 10; t < 30; t++) await commit(again, ...dropFor(again.outbox, 1, LIMITS), reading(t));
  expect(timesIn(again.outbox)).toEqual([1, 2, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
  expect(again.outbox).toMatchObject({queued: 12, droppable: 10, dropped: 17});
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
    read: (handle, bytes, at) => handle.read(bytes, at, bytes.length - at, at),
    syncFolder: () => Promise.resolve(),
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
  const spool = await openSpool(folder, {...LIMITS, compactBytes: 100_000}, disk);
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

  const again = await openSpool(folder, LIMITS);
  expect(again.recovery).toBe('clean');
  expect([...again.outbox.entries()]).toEqual([...spool.outbox.entries()]);
  await again.close();
});

test('ends when not even the reserve is enough, and is whole at the next start', async () => {
  const disk = smallDisk(320, 200);
  const spool = await openSpool(folder, {...LIMITS, compactBytes: 100_000}, disk);
  await commit(spool, {op: 'epoch', epoch: 'e1', life: 'one'}, reading(1));
  const seal: OutboxEntry = {...SEAL, state: {text: 'x'.repeat(500)}};
  await expect(commit(spool, seal)).rejects.toThrow('no space left');
  await spool.close();
  const again = await openSpool(folder, LIMITS);
  expect(again).toMatchObject({recovery: 'clean', outbox: {queued: 1, lastBatchSeq: 0}});
  await again.close();
});
