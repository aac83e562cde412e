import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import type {Batch} from '../client/outbox.ts';
import {ledgerEntrySchema, type LedgerEntry} from './entry.ts';
import {ledgerObserver, openLedger} from './writer.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pisync-ledger-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

const lines = (): LedgerEntry[] =>
  readFileSync(join(folder, 'ledger'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => ledgerEntrySchema.parse(JSON.parse(line)));

const answer = (batch: number): LedgerEntry => ({
  t: 'answer',
  device: 'd'.repeat(200),
  epoch: 'e1',
  batch,
  hash: 'h',
  answer: 'unknown',
  status: null,
  bad: 0,
  good: null,
  at: 0,
  ms: 0,
});

test('lines of one moment are never torn by those of the next, however many they are', async () => {
  const ledger = await openLedger(join(folder, 'ledger'));
  const written: Promise<void>[] = [];
  // One burst is megabytes, which the file system takes in parts.
  for (let burst = 0; burst < 5; burst++) {
    for (let i = 0; i < 8000; i++) written.push(ledger.append(answer(burst * 8000 + i)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(written);
  await ledger.close();
  expect(lines().map(({batch}) => batch)).toEqual(Array.from({length: 40_000}, (_, index) => index));
});

test('the same content under another number is written down anew, and a retry is not', async () => {
  const ledger = await openLedger(join(folder, 'ledger'));
  const observer = ledgerObserver(ledger, () => 0);
  const batch = (epoch: string, batchSeq: number): Batch => ({
    epoch,
    batchSeq,
    mode: 'delta',
    reason: 'scheduled',
    state: undefined,
    records: [],
    accepted: false,
  });
  for (const each of [batch('e1', 1), batch('e1', 1), batch('e1', 2), batch('e2', 1)]) {
    await observer.sending?.('device', each, 'same');
  }
  await ledger.close();
  expect(lines().map(({t, epoch, batch: number}) => `${t} ${epoch}/${number}`)).toEqual([
    'sent e1/1',
    'sent e1/2',
    'sent e2/1',
  ]);
});
