import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {takePlace, tokenHash} from '@pisync/core/devices/tokens';
import {until} from '@pisync/core/testing/until';
import {startTestDeviceApi, type TestDeviceApi} from '../testing/test-device-api.ts';
import {deviceIdOf} from './device-id.ts';

jest.setTimeout(60_000);

/** How far the clock of the API is ahead. */
let laterMs = 0;
let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi({now: () => performance.now() + laterMs});
});
afterAll(() => api.stop());

test('whoever tries a token that is used up writes nothing, is soon told to wait, and keeps out nobody who has a place of it', async () => {
  const {shards} = api.databases;
  const token = await api.makeToken(`group-${randomUUID()}`, 1);
  /** Where the place of the last device is: rows that were written and undone lie between it and the one before. */
  const nextRow = async (): Promise<number> => {
    const other = await api.makeToken(`group-${randomUUID()}`);
    expect((await api.enrol(undefined, other)).status).toBe(200);
    const {rows} = await shards
      .control('job')
      .query<{row: number}>('select (ctid::text::point)[1] as row from control.enrolment_place where token_hash = $1', [
        tokenHash(other),
      ]);
    return rows[0]?.row ?? NaN;
  };
  const letIn = await api.enrol(undefined, token);
  expect(letIn.status).toBe(200);
  const row = await nextRow();
  const statuses = new Array<number>();
  for (let tries = 0; tries < 100; tries++) statuses.push((await api.enrol(undefined, token)).status);
  expect(await nextRow()).toBe(row + 1);
  expect(statuses).toEqual(new Array<number>(100).fill(403));
  const refused = await until(
    'what this pod grants unasked to be used',
    () => api.enrol(undefined, token),
    ({status}) => status !== 403,
  );
  expect(refused).toMatchObject({status: 429, json: {code: 'rate-limited'}});
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(60);
  const asked = jest.spyOn(pg.Pool.prototype, 'query');
  try {
    for (let tries = 0; tries < 5; tries++) expect((await api.enrol(undefined, token)).status).toBe(429);
    expect(JSON.stringify(asked.mock.calls)).not.toContain('enrolment_place');
  } finally {
    asked.mockRestore();
  }
  expect((await api.enrol(letIn.hardwareId, token)).json).toMatchObject({epoch: 'e2'});
  laterMs += 90_000;
  expect((await api.enrol(undefined, token)).status).toBe(403);
});

test('a token without room lets in a device that has a place of it and is not made yet', async () => {
  const {shards} = api.databases;
  const token = await api.makeToken(`group-${randomUUID()}`, 1);
  const hardwareId = randomUUID();
  expect(await takePlace(shards, tokenHash(token), deviceIdOf(hardwareId))).toBe(true);
  expect((await api.enrol(undefined, token)).status).toBe(403);
  expect((await api.enrol(hardwareId, token)).status).toBe(200);
});

test('those who come at the same moment, some of them twice, get as many places as a token has, one each', async () => {
  const {shards} = api.databases;
  const token = await api.makeToken(`group-${randomUUID()}`, 5);
  const all = Array.from({length: 40}, (_, index) => `device-${index % 20}`);
  const answers = await Promise.all(
    all.map(async (device) => ({device, hasPlace: await takePlace(shards, tokenHash(token), deviceIdOf(device))})),
  );
  const letIn = answers.filter(({hasPlace}) => hasPlace).map(({device}) => device);
  expect(letIn).toHaveLength(10);
  expect(new Set(letIn).size).toBe(5);
  const {rows} = await shards
    .control('job')
    .query('select used from control.enrolment_token where token_hash = $1', [tokenHash(token)]);
  expect(rows).toEqual([{used: 5}]);
});
