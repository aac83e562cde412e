import {createHash, randomUUID} from 'node:crypto';
import {gzipSync} from 'node:zlib';
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {startTestDeviceApi, type TestDeviceApi} from '../testing/test-device-api.ts';

let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi();
}, 60_000);
afterAll(async () => {
  await api.stop();
}, 60_000);

const batch = (batchSeq: number, more: object = {}) => ({
  ...{epoch: 'e1', batchSeq, mode: 'delta', reason: 'scheduled'},
  records: [{s: batchSeq, k: 'temperature', t: 1_760_000_000_000, d: {celsius: 4.5}}],
  ...more,
});

describe('an answer', () => {
  const NONCE = 'n-1';
  const call = (auth: Readonly<Record<string, string>>, body: Buffer | string, nonce = NONCE) =>
    api.call('POST', `/v1/sync?nonce=${nonce}`, auth, body);
  const received = (body: Buffer | string) => ({
    bytes: Buffer.byteLength(body),
    sha256: createHash('sha256').update(body).digest('hex'),
  });

  test('names region, device and epoch, and says the nonce of its call', async () => {
    const {auth, json} = await api.enrol();
    const binding = {region: 'test', deviceId: json.deviceId, epoch: 'e1', nonce: NONCE};
    expect((await call(auth, JSON.stringify(batch(1)))).json).toMatchObject({accepted: 1, ...binding});
    expect((await call(auth, JSON.stringify({...batch(0), mode: 'heartbeat', records: []}))).json).toMatchObject(
      binding,
    );
    const bad = JSON.stringify(batch(2, {records: [{s: 'x'}]}));
    expect(await call(auth, bad)).toMatchObject({status: 422, json: {accepted: 2, ...binding}});
    const hardwareId = randomUUID();
    const body = JSON.stringify({hardwareId, secret: 'a'.repeat(43), enrolmentToken: api.token});
    expect((await api.call('POST', `/v1/enroll?nonce=${NONCE}`, {}, body)).json).toMatchObject({
      region: 'test',
      nonce: NONCE,
    });
  });

  test('that refuses says what was read, once it was inflated, and so the caller knows whether it is what it sent', async () => {
    const {auth} = await api.enrol();
    const body = JSON.stringify(batch(1, {mode: 'other', text: 'x'.repeat(2000)}));
    for (const sent of [body, gzipSync(body)]) {
      expect(await call(auth, sent)).toMatchObject({
        status: 400,
        json: {region: 'test', nonce: NONCE, received: received(body)},
      });
    }
    const gap = JSON.stringify(batch(100));
    expect(await call(auth, gap)).toMatchObject({status: 409, json: {received: received(gap)}});
    const unknown = JSON.stringify(batch(1, {epoch: 'e9'}));
    expect(await call(auth, unknown)).toMatchObject({
      status: 403,
      json: {code: 'enrol-again', received: received(unknown)},
    });
    const garbled = gzipSync(body).fill(0, 20, 40);
    expect(await call(auth, garbled)).toMatchObject({status: 400, json: {received: received(garbled)}});
  });

  test('of any kind names the region, and repeats no nonce that is none', async () => {
    const {auth, json: enrolled} = await api.enrol();
    for (const path of ['/v1/sync/receipts', '/v1/time', '/v1/nothing']) {
      const answer = await api.call('GET', `${path}?nonce=${NONCE}`, auth);
      expect(answer.json).toMatchObject({region: 'test', nonce: NONCE});
    }
    expect((await api.call('GET', '/v1/sync/receipts', auth)).json).toMatchObject({deviceId: enrolled.deviceId});
    expect(await call({}, '{}')).toMatchObject({status: 401, json: {region: 'test', nonce: NONCE}});
    const {json} = await call(auth, JSON.stringify(batch(1)), encodeURIComponent('<script>'));
    expect(json).toMatchObject({accepted: 1, region: 'test'});
    expect(json).not.toHaveProperty('nonce');
  });
});
