import {expect, test} from '@jest/globals';
import type {ListedRow} from '@pisync/core/audit/audit-list';
import type {AuditPage} from './audit-pages.ts';
import {auditExportRoute} from './audit-export.ts';

const row: ListedRow = {
  ...{id: 'an id', counter: 1, at: '2026-11-28T00:00:00.000000Z', actor: 'ann', actorToken: null, role: 'admin'},
  ...{action: 'session.begin', objectKind: 'session', objectId: 's', groupIds: null, before: null, after: null},
  ...{requestId: null, address: null, seq: null, fromShard: 0, mac: null},
};
const page = (over: Partial<AuditPage>): AuditPage => ({
  ...{rows: [row], hasNextPage: true, positions: new Map(), missing: []},
  ...over,
});

const chunksOf = async (format: string): Promise<{readonly chunks: readonly string[]; readonly failed: boolean}> => {
  const pages = [page({}), page({missing: [1]})];
  const {handle} = auditExportRoute({
    readPage: () => Promise.resolve(pages.shift() ?? page({hasNextPage: false})),
    groups: {
      names: () => Promise.resolve({nameOf: String, idOf: () => undefined, filterOf: () => undefined}),
      forget: () => undefined,
    },
  });
  const {stream} = await handle({
    ...{params: {}, query: {format}, body: undefined, callHash: undefined, revisions: undefined},
    principal: {id: null, rootId: null, name: 'ann', role: 'admin', scope: undefined, expiresAt: null, tokenHash: ''},
    ...{reached: {secure: true, port: undefined}, origin: {requestId: undefined, address: undefined}},
  });
  const chunks: string[] = [];
  try {
    for await (const chunk of stream?.chunks ?? []) chunks.push(chunk);
    return {chunks, failed: false};
  } catch {
    return {chunks, failed: true};
  }
};

test('where a shard fails in the middle NDJSON says so in its last line, and CSV is cut', async () => {
  const ndjson = await chunksOf('ndjson');
  expect(ndjson.failed).toBe(false);
  expect(ndjson.chunks.map((chunk) => Object.keys(JSON.parse(chunk) as object))).toEqual([
    expect.arrayContaining(['id', 'action']),
    ['error'],
  ]);
  const csv = await chunksOf('csv');
  expect([csv.chunks.length, csv.failed]).toEqual([2, true]);
});
