import type {AuditFinding} from '@pisync/core/audit/verify-chain';

const range = (one: string, many: string, from: number, to: number): string =>
  from === to ? `${one} ${from}` : `${many} ${from} to ${to}`;

/** A finding as a sentence. */
export const inWords = (finding: AuditFinding): string => {
  switch (finding.kind) {
    case 'changed':
      return `${range('Row', 'Rows', finding.fromSeq, finding.toSeq)} of the chain: not what was signed. Somebody has changed it, or the key is another one.`;
    case 'removed':
      return `${range('Row', 'Rows', finding.fromSeq, finding.toSeq)} of the chain: gone, although later ones are there.`;
    case 'cut':
      return `${range('Row', 'Rows', finding.fromSeq, finding.toSeq)} of the chain: gone. The chain was cut off at its end.`;
    case 'replaced':
      return `${range('Row', 'Rows', finding.fromSeq, finding.toSeq)} of the chain: not the one that the given head is of. The chain was cut off there and written anew.`;
    case 'head':
      return 'control.audit_head does not say where the chain ends. Somebody has changed or removed it.';
    case 'missing':
      return `${range('Entry', 'Entries', finding.fromCounter, finding.toCounter)} of shard ${finding.shard}: written, and neither in the chain nor waiting for it.`;
    case 'set-back':
      return `Shard ${finding.shard} counts its entries again from ${finding.fromCounter}, although it had come to ${finding.toCounter}: it was restored from a backup, begun anew, or changed.`;
  }
};
