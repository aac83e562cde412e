/** A verdict for people. */
import type {Verdict} from './judge.ts';

export const printVerdict = (verdict: Verdict): string => {
  const row = (name: string, value: number): string => `  ${name.padEnd(16)} ${value.toLocaleString('en-US')}`;
  const lines = [
    verdict.acked === 0
      ? 'THE LEDGER HAS NO ACKED BATCH: NOTHING WAS JUDGED.'
      : verdict.ok
        ? 'The ledger and the shards agree.'
        : 'THE LEDGER AND THE SHARDS DO NOT AGREE.',
    row('devices', verdict.devices),
    row('batches', verdict.batches),
    row('acked', verdict.acked),
    row('applied', verdict.applied),
    row('records', verdict.records),
    row('lost', verdict.lost),
    row('duplicated', verdict.duplicated),
    row('unknown, applied', verdict.unknownApplied),
    row('foreign', verdict.foreign),
    row('altered', verdict.altered),
    row('state wrong', verdict.stateWrong),
    row('prefix wrong', verdict.prefixWrong),
    row('counter wrong', verdict.counterWrong),
    row('quarantined', verdict.quarantined),
    ...verdict.findings.map(({kind, device, detail}) => `  ! ${kind}: device ${device}: ${detail}`),
  ];
  return `${lines.join('\n')}\n`;
};
