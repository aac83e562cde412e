import {expect, test} from '@jest/globals';
import type {AuditCheck} from '../api/types.ts';
import {checkAudit} from './check-audit.ts';

const part = (over: Partial<AuditCheck>): AuditCheck => ({
  ...{checked: null, findings: [], moreFindings: false, head: '0:', nextCursor: null, pending: null, unchecked: []},
  ...over,
});
const finding = (detail: string) => ({kind: 'changed', detail});

test('a check goes on to the end and gathers what is found', async () => {
  const parts = new Map([
    [null, part({checked: {fromSeq: 1, toSeq: 2}, findings: [finding('a')], nextCursor: 'next'})],
    ['next', part({checked: {fromSeq: 3, toSeq: 4}, findings: [finding('b')], pending: 5, unchecked: ['shard-1']})],
  ]);
  const seen: number[] = [];
  const result = await checkAudit(
    (cursor) => Promise.resolve(parts.get(cursor) ?? part({})),
    (checked) => seen.push(checked),
  );
  expect(seen).toEqual([2, 4]);
  const findings = [finding('a'), finding('b')];
  expect(result).toEqual({checked: 4, pending: 5, findings, more: false, unchecked: ['shard-1']});
});

test('of very many findings some are kept, and that there are more', async () => {
  const many = Array.from({length: 70}, (_, index) => finding(`number ${index}`));
  const result = await checkAudit(
    (cursor) => Promise.resolve(part({findings: many, nextCursor: cursor === null ? 'next' : null})),
    () => undefined,
  );
  expect([result.findings.length, result.more]).toEqual([100, true]);
});
