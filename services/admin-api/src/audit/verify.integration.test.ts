/** That nobody changes the audit unseen. */
import {afterAll, beforeAll, beforeEach, describe, expect, test} from '@jest/globals';
import {z} from 'zod';
import {type AuditedRegion, openAuditedRegion} from '../testing/audited-region.ts';
import {startTestApi} from '../testing/test-api.ts';
import {openWithoutShard1} from '../testing/without-shard.ts';

let audited: AuditedRegion;
beforeAll(async () => {
  audited = await openAuditedRegion();
}, 60_000);
afterAll(() => audited.close(), 30_000);
beforeEach(() => audited.forget());

const control = () => audited.region.shards.control('job');

const resultSchema = z.object({
  checked: z.object({fromSeq: z.int(), toSeq: z.int()}).nullable(),
  findings: z.array(z.looseObject({kind: z.string(), detail: z.string()})),
  head: z.string(),
  nextCursor: z.string().nullable(),
  pending: z.int().nullable(),
  unchecked: z.array(z.string()),
});

/** A whole check, call by call. */
const verify = async (head?: string, at = audited.api) => {
  const parts: z.output<typeof resultSchema>[] = [];
  const query = new URLSearchParams(head === undefined ? {} : {head});
  for (;;) {
    const {body} = await at.call('GET', `/api/v1/audit/verify?${query.toString()}`, {token: audited.admin});
    const part = resultSchema.parse(body);
    parts.push(part);
    if (part.nextCursor === null) break;
    query.set('cursor', part.nextCursor);
  }
  const findings = parts.flatMap((part) => part.findings.map(({detail: _, ...finding}) => finding));
  const {head: end, ...last} = parts.at(-1) ?? {head: ''};
  return {...last, head: end, findings, calls: parts.length};
};

describe('the check', () => {
  /** Three of each shard in the chain, one of each waiting. */
  const fill = async (): Promise<void> => {
    for (const shard of [0, 1, 0, 1, 0, 1]) await audited.askForSync(shard);
    await audited.chain();
    for (const shard of [0, 1]) await audited.askForSync(shard);
  };

  test('finds nothing where nobody touched it', async () => {
    expect(await verify()).toMatchObject({checked: null, findings: [], pending: 0});
    await fill();
    const {head} = await verify();
    expect(await verify(head)).toMatchObject({
      checked: {fromSeq: 1, toSeq: 6},
      findings: [],
      pending: 2,
      unchecked: [],
    });
    await audited.chain();
    expect(await verify(head)).toMatchObject({checked: {fromSeq: 1, toSeq: 8}, findings: [], pending: 0});
  });

  test('finds a row that was changed', async () => {
    await fill();
    await control().query(`update control.audit set actor = 'somebody else' where seq = 4`);
    expect((await verify()).findings).toEqual([{kind: 'changed', fromSeq: 4, toSeq: 4}]);
  });

  test('finds a row that was taken out', async () => {
    await fill();
    await control().query(`delete from control.audit where seq = 2`);
    expect((await verify()).findings).toMatchObject([
      {kind: 'removed', fromSeq: 2, toSeq: 2},
      {kind: 'missing', fromCounter: 2},
    ]);
  });

  test('finds that the end was cut off, also where the head was moved with it', async () => {
    await fill();
    const {head} = await verify();
    await control().query('delete from control.audit where seq > 4');
    // Both of them are of one shard, because it was chained as one.
    const gone = {kind: 'missing', shard: 1, fromCounter: 2, toCounter: 3};
    expect((await verify()).findings).toEqual([{kind: 'cut', fromSeq: 5, toSeq: 6}, gone]);
    await control().query(
      'update control.audit_head h set seq = a.seq, mac = a.mac from control.audit a where a.seq = 4',
    );
    expect((await verify()).findings).toEqual([gone]);
    expect((await verify(head)).findings).toEqual([{kind: 'cut', fromSeq: 5, toSeq: 6}, gone]);
    // Somebody has written it anew since, with the counters set back as well.
    await audited.region.shards.pool(1, 'job').query('delete from audit_outbox; update audit_counter set last = 1');
    expect((await verify()).findings).toEqual([]);
    for (let time = 0; time < 2; time++) await audited.askForSync(1);
    await audited.chain();
    expect((await verify()).findings).toEqual([]);
    expect((await verify(head)).findings).toEqual([{kind: 'replaced', fromSeq: 6, toSeq: 6}]);
  });

  test.each([
    ['the only one', (): Promise<unknown> => Promise.resolve(), 4, 4],
    ['the first of some', (): Promise<unknown> => audited.askForSync(1), 4, 4],
  ] as const)('finds one that was deleted before it was chained: %s', async (_what, more, from, to) => {
    await fill();
    await more();
    const pool = audited.region.shards.pool(1, 'job');
    await pool.query('delete from audit_outbox where counter = 4');
    const finding = {kind: 'missing', shard: 1, fromCounter: from, toCounter: to};
    expect((await verify()).findings).toEqual([finding]);
    await audited.chain();
    expect((await verify()).findings).toEqual([finding]);
  });

  test('finds that a shard counts from where it was before', async () => {
    await fill();
    await audited.chain();
    await audited.region.shards.pool(1, 'job').query('update audit_counter set last = 2');
    expect((await verify()).findings).toEqual([{kind: 'set-back', shard: 1, fromCounter: 2, toCounter: 4}]);
    await audited.askForSync(1);
    await audited.chain();
    expect((await verify()).findings).toContainEqual({kind: 'set-back', shard: 1, fromCounter: 3, toCounter: 4});
  });

  test('looks at so many rows in a call, and at all of them in some', async () => {
    await audited.region.shards.pool(1, 'job').query(
      `insert into audit_outbox (counter, actor, role, action, object_kind, object_id)
       select n, 'x', 'admin', 'session.begin', 'session', n::text from generate_series(1, 4500) n`,
    );
    await audited.region.shards.pool(1, 'job').query('insert into audit_counter (last) values (4500)');
    for (let time = 0; time < 5; time++) await audited.chain();
    expect(await verify()).toMatchObject({calls: 3, checked: {toSeq: 4500}, findings: [], pending: 0});
    await control().query(`update control.audit set after = '{}' where seq in (3, 4400)`);
    expect((await verify()).findings).toMatchObject([{fromSeq: 3}, {fromSeq: 4400}]);
  });

  test('says which shards it did not ask', async () => {
    await fill();
    const shards = await openWithoutShard1(audited.region);
    const without = await startTestApi({shards, cache: {use: () => Promise.resolve(undefined)}, auditKey: audited.key});
    try {
      expect(await verify(undefined, without)).toMatchObject({findings: [], unchecked: ['shard-1']});
    } finally {
      await without.close();
      await shards.close();
    }
  });

  test('refuses what is no head', async () => {
    const answer = await audited.api.call('GET', '/api/v1/audit/verify?head=12', {token: audited.admin});
    expect(answer).toMatchObject({status: 400, body: {errors: [{pointer: '/head'}]}});
  });
});
