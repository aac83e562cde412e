/** The calls that docs/api/device.md shows: they are made one after the other, and the answers look as they are shown. */
import {randomBytes, randomUUID} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {gzipSync} from 'node:zlib';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {blocksOf, compareShown, type DocBlock, parseShown} from '@pisync/core/testing/doc-examples';
import {startTestDeviceApi, type TestDeviceApi} from './testing/test-device-api.ts';

const BLOCKS = blocksOf(readFileSync(new URL('../../../docs/api/device.md', import.meta.url), 'utf8'));

let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi();
}, 60_000);
afterAll(() => api.stop(), 30_000);

/** Texts that stand for something. A hardware id names a device in the Redis that tests share. */
const meant = new Map<string, string>([
  ['10000000abcdef01', randomBytes(8).toString('hex')],
  ['<32 random bytes in base64url: 43 characters>', randomBytes(32).toString('base64url')],
  ['0197…', randomUUID()],
  ['<batchSeq>', '811'],
]);

interface Shown {
  readonly call: DocBlock | undefined;
  /** Method and address of a call that stands in a heading. */
  readonly heading: string;
  readonly answer: DocBlock;
}

/** Each JSON below a call is its answer; so it is below a heading with a call that has no body. */
const SHOWN: readonly Shown[] = BLOCKS.flatMap((answer, index) => {
  if (answer.language !== 'json') return [];
  const before = BLOCKS[index - 1];
  const call = before?.language === 'http' && before.section === answer.section ? before : undefined;
  return [{call, heading: /`([A-Z]+ \/[^`]*)`/.exec(answer.section)?.[1] ?? '', answer}];
});

const parseCall = (text: string) => {
  const [head = '', ...body] = text.split('\n\n');
  const [start = '', ...lines] = head.split('\n');
  const [method = '', path = ''] = start.split(' ');
  const headers = Object.fromEntries(
    lines.map((line): [string, string] => {
      const [name = '', ...value] = line.split(': ');
      return [name.toLowerCase(), value.join(': ')];
    }),
  );
  return {method, path, headers, body: body.length === 0 ? undefined : body.join('\n\n')};
};

const job = (deviceId: string) => api.databases.shards.pool(api.databases.shards.shardOfDevice(deviceId), 'job');

/** The device as it is in the example: 810 of its batches are applied, and a command waits for it. */
const bringForward = async (deviceId: string): Promise<void> => {
  const of = `(select device_key from device where device_id = $1)`;
  await job(deviceId).query(`update device_state set applied_through = 810 where device_key = ${of}`, [deviceId]);
  await job(deviceId).query(
    `insert into device_command (device_key, command_id, request_id, expires_at, type, priority)
     values (${of}, gen_random_uuid(), gen_random_uuid(), now() + interval '1 day', 'sync.full', 'normal')`,
    [deviceId],
  );
  await job(deviceId).query(
    `insert into receipt (device_key, epoch, batch_seq, content_hash, outcome, record_count, bad_count, mode, received_day, received_at)
     values (${of}, 1, 812, sha256('x'), 'applied', 20, 0, 'delta', current_date, now())`,
    [deviceId],
  );
};

test.each(SHOWN.map((shown): [number, string, Shown] => [shown.answer.line, shown.answer.section, shown]))(
  'the answer in line %i, of %s, looks like what comes',
  async (_line, section, {call, heading, answer}) => {
    expect({section, call: call?.text ?? heading}).not.toEqual({section, call: ''});
    meant.set('<enrolment token>', api.token);
    const text = [...meant].reduce((all, [shown, value]) => all.replaceAll(shown, () => value), call?.text ?? heading);
    const {method, path, headers, body} = parseCall(text);
    const shown = parseShown(answer.text) as Readonly<Record<string, unknown>>;
    const nonce = typeof shown['nonce'] === 'string' ? `?nonce=${shown['nonce']}` : '';
    const credential = meant.get('ps_<deviceId>.<secret>');
    const {status, json} = await api.call(
      method,
      path.includes('?') ? path : path + nonce,
      {...(credential === undefined ? {} : {authorization: `Bearer ${credential}`}), ...headers},
      headers['content-encoding'] === 'gzip' ? gzipSync(body ?? '') : body,
    );
    expect({json, status, faults: compareShown(shown, json).faults}).toEqual({json, status: 200, faults: []});
    if (typeof json['credential'] !== 'string') return;
    meant.set('ps_<deviceId>.<secret>', json['credential']);
    await bringForward(String(json['deviceId']));
  },
);

test('every call that is shown has an answer', () => {
  const calls = BLOCKS.filter(({language}) => language === 'http');
  expect(SHOWN.map(({call}) => call).filter((call) => call !== undefined)).toEqual(calls);
  expect(SHOWN.length).toBeGreaterThan(calls.length);
});
