/** Appends ledger lines to a file, many in one write. */
import {open, type FileHandle} from 'node:fs/promises';
import type {Answer} from '../client/answer.ts';
import type {Observer} from '../client/device.ts';
import type {Batch} from '../client/outbox.ts';
import {recordsDigest, valueDigest, type LedgerEntry} from './entry.ts';

export interface LedgerWriter {
  /** Resolves when the line is in the kernel, where the death of this process cannot take it back. */
  append(entry: LedgerEntry): Promise<void>;
  close(): Promise<void>;
}

export const openLedger = async (path: string): Promise<LedgerWriter> => {
  const file: FileHandle = await open(path, 'a');
  let waiting: string[] = [];
  let flushing: Promise<void> | undefined;
  const flush = async (): Promise<void> => {
    // One turn of the loop, so that lines of the same moment share a write.
    await new Promise((resolve) => setImmediate(resolve));
    const lines = waiting;
    waiting = [];
    flushing = undefined;
    await file.appendFile(lines.join(''));
  };
  let last: Promise<void> = Promise.resolve();
  return {
    append(entry) {
      waiting.push(`${JSON.stringify(entry)}\n`);
      // After the write before: a large one is done in parts, and another between them would tear a line.
      flushing ??= last = last.then(flush);
      return flushing;
    },
    async close() {
      await last;
      await file.close();
    },
  };
};

const verdictOf = (answer: Answer): 'acked' | 'unknown' | 'rejected' => {
  if (answer.kind === 'accepted') return 'acked';
  return answer.kind === 'later' || answer.kind === 'over-quota' ? 'unknown' : 'rejected';
};

/** What a device does to keep a ledger. `wallMs` stamps lines and decides nothing. */
export const ledgerObserver = (ledger: LedgerWriter, wallMs: () => number): Observer => {
  /** Contents that are written and not yet acked, so that a retry writes no second line. */
  const open = new Set<string>();
  const keyOf = (device: string, {epoch, batchSeq}: Batch, hash: string): string =>
    `${device} ${epoch} ${batchSeq} ${hash}`;
  const id = (device: string, batch: Batch, hash: string) => ({
    device,
    epoch: batch.epoch,
    batch: batch.batchSeq,
    hash,
  });
  const append = (entry: LedgerEntry): void => {
    // The next line that is awaited fails as this one did.
    ledger.append(entry).catch(() => undefined);
  };
  return {
    async sending(device, batch, hash) {
      const key = keyOf(device, batch, hash);
      if (open.has(key)) return;
      open.add(key);
      await ledger.append({
        t: 'sent',
        ...id(device, batch, hash),
        records: batch.records.length,
        first: batch.records[0]?.s ?? null,
        last: batch.records.at(-1)?.s ?? null,
        digest: recordsDigest(batch.records),
        state: batch.state === undefined ? null : valueDigest(batch.state),
        at: wallMs(),
      });
    },
    answered(device, batch, hash, answer, tookMs) {
      const bad: ReadonlySet<number> = answer.kind === 'accepted' ? answer.bad : new Set();
      if (answer.kind === 'accepted') open.delete(keyOf(device, batch, hash));
      append({
        t: 'answer',
        ...id(device, batch, hash),
        answer: verdictOf(answer),
        status: answer.status ?? null,
        bad: bad.size,
        good: bad.size === 0 ? null : recordsDigest(batch.records.filter((_, index) => !bad.has(index))),
        at: wallMs(),
        ms: Math.round(tookMs * 10) / 10,
      });
    },
    applied(device, batch, hash) {
      open.delete(keyOf(device, batch, hash));
      const nothing = {status: null, bad: null, good: null, ms: 0};
      append({t: 'answer', ...id(device, batch, hash), answer: 'applied', ...nothing, at: wallMs()});
    },
  };
};
