/** What is written down where the region says how far it is. It names a number and no content: a copy of our card may have used that number for its own. */
import {type Batch, hadSuccess, type Outbox, type OutboxEntry} from './outbox.ts';
import {nameOf, type Session} from './session.ts';

/** Batches of this epoch, but for the one that was just sent, of which nobody has said that they are taken; the newest first. */
export const unanswered = (
  epoch: string,
  sent: Batch | {readonly epoch: string},
  {batches}: Outbox,
): readonly Batch[] => {
  const name = 'batchSeq' in sent ? nameOf(sent) : undefined;
  return batches.filter((batch) => batch.epoch === epoch && nameOf(batch) !== name && !hadSuccess(batch)).reverse();
};

/**
 * What has no 2xx is sent once more, and goes with the answer to that. The region's word is enough only for what the way has just let through no more.
 * @param reopened what a copy has certainly used the numbers of
 */
export const appliedEntries = (
  {blocked}: Session,
  {epoch, applied}: {readonly epoch: string; readonly applied: number},
  reopened: readonly Batch[],
): readonly OutboxEntry[] => {
  if (applied === 0) return [];
  const entries: OutboxEntry[] = reopened.map(({batchSeq}) => ({op: 'reopen', epoch, batchSeq}));
  const isBlocked = blocked?.epoch === epoch && blocked.batchSeq <= applied && reopened.length === 0;
  if (isBlocked) entries.push({op: 'accepted', ...blocked});
  return [...entries, {op: 'applied', epoch, through: applied}];
};
