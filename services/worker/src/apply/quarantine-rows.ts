import {type Batch} from './batch.ts';

/** What is kept for a person to read, send again or discard. */
export interface QuarantineRow {
  readonly batch: Batch;
  readonly kind: 'record' | 'batch' | 'conflict';
  readonly reason: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly payload: Buffer;
}

/** The parts of a new batch that were not applied: none, some records, or all of it. */
export const quarantineRows = (batch: Batch): readonly QuarantineRow[] => {
  const {content, payload} = batch;
  if (content.kind === 'rejected')
    return [{batch, kind: 'batch', reason: content.reason.replaceAll('\0', ''), detail: {}, payload}];
  return content.bad.map((part) => ({
    batch,
    kind: 'record',
    reason: part.reason,
    detail: {pointer: part.pointer},
    payload: part.payload,
  }));
};

/** A batch whose number was used before with other content. */
export const conflictRow = (batch: Batch): QuarantineRow => ({
  batch,
  kind: 'conflict',
  reason: 'a batch with this number and other content was applied before',
  detail: {contentHash: batch.contentHash.toString('hex')},
  payload: batch.payload,
});
