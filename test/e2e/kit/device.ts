import {randomBytes} from 'node:crypto';
import {throughIngress, type Answer} from './http.ts';
import {type Region} from './region.ts';
import {until} from './until.ts';

/** A device that a test drives call by call; the fleet simulator is for many. */
export interface TestDevice {
  readonly deviceId: string;
  readonly credential: string;
  readonly epoch: string;
  readonly host: string;
}

export async function enrolled(region: Region, hardwareId: string, host: string = region.host): Promise<TestDevice> {
  const token = await region.kubectl.secret(`${region.name}-bootstrap`, 'enrolment-token');
  const secret = randomBytes(32).toString('base64url');
  const answer = await until(`${hardwareId} to be enrolled through ${host}`, async () => {
    const tried = await throughIngress(host, '/v1/enroll', {
      method: 'POST',
      headers: {authorization: `Bearer ${token}`},
      body: JSON.stringify({hardwareId, name: hardwareId, secret}),
    });
    // a route that was made a moment ago is not in the proxy yet
    if (tried.status !== 200) throw new Error(`${tried.status} ${tried.text}`);
    return tried;
  });
  // the contract of POST /v1/enroll
  return {...(JSON.parse(answer.text) as Omit<TestDevice, 'host'>), host};
}

export const record = (
  s: number,
  extra: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> => ({
  s,
  k: 'reading',
  t: 1_763_890_000_000 + s,
  d: {celsius: 20.5},
  ...extra,
});

export const batchBody = (
  device: TestDevice,
  batchSeq: number,
  records: readonly unknown[],
  extra: Readonly<Record<string, unknown>> = {},
): string =>
  JSON.stringify({
    epoch: device.epoch,
    batchSeq,
    prevAcked: batchSeq - 1,
    mode: 'delta',
    reason: 'scheduled',
    state: {v: batchSeq},
    records,
    ...extra,
  });

export const post = (
  device: TestDevice,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> =>
  throughIngress(device.host, '/v1/sync', {
    method: 'POST',
    headers: {authorization: `Bearer ${device.credential}`, ...headers},
    body,
  });

/** Rows of one shard's database, `|` between columns. */
export async function shardRows(
  region: Region,
  shard: number,
  statement: string,
  user: 'pisync' | 'postgres' = 'pisync',
): Promise<readonly string[]> {
  const text = await region.kubectl.ok([
    'exec',
    `${region.name}-pg-${shard}-0`,
    '--',
    'psql',
    '-h',
    '/var/run/postgresql',
    '-U',
    user,
    '-d',
    'pisync',
    '-Atc',
    statement,
  ]);
  return text.split('\n').filter((line) => line !== '');
}

/** The same statement on every shard of a region with two. */
export const allRows = async (region: Region, statement: string): Promise<readonly string[]> =>
  (await Promise.all([0, 1].map((shard) => shardRows(region, shard, statement)))).flat();
