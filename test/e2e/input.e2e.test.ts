import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {gzipSync} from 'node:zlib';
import {allRows, batchBody, enrolled, post, record, type TestDevice} from './kit/device.ts';
import {helmInstall} from './kit/operator.ts';
import {dropRegion, readyRegion, type Region} from './kit/region.ts';
import {until} from './kit/until.ts';

describe('what a device may get wrong', () => {
  let region: Region;
  let device: TestDevice;
  let other: TestDevice;
  let third: TestDevice;
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('rough');
    device = await enrolled(region, 'rough-1');
    other = await enrolled(region, 'rough-2');
    third = await enrolled(region, 'rough-3');
  }, 300_000);
  afterAll(() => dropRegion(region), 90_000);

  const foreign = (): string => `ps_${other.deviceId}.${device.credential.split('.')[1] ?? ''}`;

  test.each<[string, (n: number) => Parameters<typeof post>, number]>([
    ['malformed JSON', (n) => [device, `{"epoch":"${device.epoch}","batchSeq":${n},`], 400],
    ['no JSON object', () => [device, '[]'], 400],
    [
      'a batchSeq that is text',
      () => [device, JSON.stringify({epoch: device.epoch, batchSeq: 'one', mode: 'delta', records: []})],
      400,
    ],
    [
      'records that are no list',
      (n) => [device, JSON.stringify({epoch: device.epoch, batchSeq: n, mode: 'delta', records: {}})],
      400,
    ],
    // It is taken, without its state.
    ['a state with \\u0000', (n) => [third, batchBody(third, n, [], {state: {name: 'a\u0000b'}})], 422],
    [
      'a gzip bomb of 10 MB',
      () => [device, gzipSync(Buffer.alloc(10 * 1024 * 1024, 0x20)), {'content-encoding': 'gzip'}],
      413,
    ],
    ['gzip that is none', () => [device, 'plain', {'content-encoding': 'gzip'}], 400],
    ['an encoding that nobody speaks', () => [device, 'plain', {'content-encoding': 'snappy'}], 415],
    ['no credentials', (n) => [device, batchBody(device, n, [record(n)]), {authorization: ''}], 401],
    [
      'credentials of nobody',
      (n) => [
        device,
        batchBody(device, n, [record(n)]),
        {authorization: 'Bearer ps_00000000-0000-5000-8000-000000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'},
      ],
      401,
    ],
    [
      'another device’s secret',
      (n) => [device, batchBody(device, n, [record(n)]), {authorization: `Bearer ${foreign()}`}],
      401,
    ],
    ['an epoch that was never issued', (n) => [device, batchBody({...device, epoch: 'e99'}, n, [record(n)])], 403],
    ['a batch far ahead', () => [device, batchBody(device, 5000, [record(1)])], 409],
  ])(
    '%s is answered with its code, a problem and no 5xx',
    async (_what, call, wanted) => {
      const answer = await post(...call(1));
      expect({status: answer.status, text: answer.text}).toEqual({status: wanted, text: expect.any(String)});
      expect(answer.headers['content-type']).toMatch(/application\/problem\+json/);
    },
    30_000,
  );

  test('1,000 records among bad ones: the good are stored once, the bad are where a person sees them, nothing is lost', async () => {
    const bad = new Set<number>();
    let s = 0;
    let answered = 0;
    for (let batch = 1; batch <= 10; batch++) {
      const records: unknown[] = [];
      for (let i = 0; i < 100; i++) {
        s += 1;
        const kind = s % 50;
        if (kind === 7) records.push(record(s, {d: {text: 'nul \u0000 inside'}}));
        else if (kind === 19) records.push({s, k: 42, t: 'yesterday', d: {}});
        else records.push(record(s));
        if (kind === 7 || kind === 19) bad.add(s);
      }
      // every batch is sent twice, as by a device whose answer got lost
      for (const attempt of [1, 2]) {
        const answer = await post(device, gzipSync(batchBody(device, batch, records, {stats: {attempt}})), {
          'content-encoding': 'gzip',
        });
        expect({batch, status: answer.status, text: answer.text}).toMatchObject({batch, status: 422});
        // problem+json with the errors of each bad record, and the batch that was taken
        const problem = JSON.parse(answer.text) as {
          readonly accepted: number;
          readonly errors: readonly {readonly pointer: string}[];
        };
        expect(problem.accepted).toBe(batch);
        expect(problem.errors.length).toBeGreaterThanOrEqual(4);
        answered += 1;
      }
    }
    expect(answered).toBe(20);
    const good = 1000 - bad.size;
    const key = `(select device_key from device where device_id = '${device.deviceId}')`;
    await until('every batch to be applied', async () => {
      const [applied] = await allRows(region, `select applied_through from device_state where device_key = ${key}`);
      if (applied !== '10') throw new Error(`applied_through ${applied ?? 'unknown'}`);
      return true;
    });
    expect(
      await allRows(
        region,
        `select count(*), count(distinct seq) from record where device_key = ${key} having count(*) > 0`,
      ),
    ).toEqual([`${good}|${good}`]);
    expect(await allRows(region, `select count(*) from receipt where device_key = ${key} having count(*) > 0`)).toEqual(
      ['10'],
    );
    expect(
      await allRows(region, `select sum(bad_count) from receipt where device_key = ${key} having count(*) > 0`),
    ).toEqual([String(bad.size)]);
    expect(await allRows(region, `select kind from quarantine where device_key = ${key} group by kind`)).toEqual([
      'record',
    ]);
  }, 180_000);

  test('the same number with other content is kept as a conflict and never swallowed', async () => {
    const first = await post(other, batchBody(other, 1, [record(1)]));
    expect({status: first.status, text: first.text}).toMatchObject({status: 200});
    const key = `(select device_key from device where device_id = '${other.deviceId}')`;
    await until('the first to be applied', async () =>
      (await allRows(region, `select 1 from receipt where device_key = ${key}`)).length === 1 ? true : undefined,
    );
    await post(other, batchBody(other, 1, [record(1, {d: {celsius: -99}})]));
    await until('a conflict in quarantine', async () =>
      (await allRows(region, `select 1 from quarantine where device_key = ${key} and kind = 'conflict'`)).length >= 1
        ? true
        : undefined,
    );
    expect(await allRows(region, `select data->>'celsius' from record where device_key = ${key}`)).toEqual(['20.5']);
  }, 90_000);
});
