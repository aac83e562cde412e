import {expect, test} from '@jest/globals';
import {checkSums} from './compare.ts';

/** Of a device without any receipt: those of old days are dropped. */
const found = (syncsTotal: number): readonly string[] => {
  const findings: string[] = [];
  const position = {
    applied: {through: 3, ahead: [[6, 8]]},
    replaced: [
      {epoch: 1, applied: {through: 0, ahead: [[4, 5]]}},
      {epoch: 2, applied: {through: 20, ahead: []}},
    ],
  } as const;
  checkSums({...position, syncsTotal}, (kind, detail) => findings.push(`${kind} ${detail}`));
  return findings;
};

test('a batch that was counted twice, or not at all, is found when its receipt is gone', () => {
  expect(found(26)).toEqual([]);
  expect(found(27)).toEqual(['counterWrong syncs_total is 27, and 26 numbers are applied']);
  expect(found(25)).toEqual(['counterWrong syncs_total is 25, and 26 numbers are applied']);
});
