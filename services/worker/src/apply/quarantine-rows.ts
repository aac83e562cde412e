import {type Batch} from './batch.ts';

/** What is kept for a person to read, send again or discard. */
export interface QuarantineRow {
  readonly id: string;
  readonly batch: Batch;
  readonly kind: 'record' | 'batch' | 'conflict' | 'unproved';
  readonly reason: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly payload: Buffer;
}

/** The parts of a new batch that were not applied: none, some records, or all of it. */
export const quarantineRows = (batch: Batch, newId: () => string): readonly QuarantineRow[] => {
  const {content, payload} = batch;
  if (content.kind === 'rejected') {
    return [{id: newId(), batch, kind: 'batch', reason: content.reason.replaceAll('\0', ''), detail: {}, payload}];
  }
  return content.bad.map((part) => ({
    id: newId(),
    batch,
    kind: 'record',
    reason: part.reason,
    detail: {pointer: part.pointer},
    payload: part.payload,
  }));
};

/** A batch whose number was used before with other content. */
export const conflictRow = (batch: Batch, newId: () => string): QuarantineRow => ({
  id: newId(),
  batch,
  kind: 'conflict',
  reason: 'a batch with this number and other content was applied before',
  detail: {contentHash: batch.contentHash.toString('hex')},
  payload: batch.payload,
});

/** A batch whose number was used before, and the receipt that would tell whether this is the same one is not kept any more. */
export const unprovedRow = (batch: Batch, newId: () => string): QuarantineRow => ({
  id: newId(),
  batch,
  kind: 'unproved',
  reason: 'a batch with this number was applied, so long ago that its receipt is gone',
  detail: {contentHash: batch.contentHash.toString('hex')},
  payload: batch.payload,
});
