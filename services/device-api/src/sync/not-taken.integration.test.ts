import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {AppError, type ErrorCode} from '@pisync/core/errors/app-error';
import {startTestDeviceApi, type TestDeviceApi} from '../testing/test-device-api.ts';

jest.setTimeout(60_000);

let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi({deviceBurstBytes: 100_000});
});
afterAll(() => api.stop());

const body = JSON.stringify({
  ...{epoch: 'e1', batchSeq: 1, mode: 'delta'},
  records: [{s: 1, k: 'note', d: 'x'.repeat(30_000)}],
});

/** What a device is answered that sends a batch five times while publishing ends so, and once more after that. Three fit its quota. */
const answersWhile = async (code: ErrorCode): Promise<readonly unknown[]> => {
  const {auth} = await api.enrol();
  const answers: unknown[] = [];
  const send = async (): Promise<void> => {
    const {status, json} = await api.call('POST', '/v1/sync', auth, body);
    answers.push(status === 200 ? status : json.code);
  };
  const failing = jest.spyOn(api.publisher, 'publish').mockRejectedValue(new AppError(code, 'as the broker said'));
  try {
    for (let tries = 0; tries < 5; tries++) await send();
  } finally {
    failing.mockRestore();
  }
  await send();
  return answers;
};

test('a batch that the broker certainly did not take takes nothing of what its device may have stored', async () => {
  expect(await answersWhile('broker-unavailable')).toEqual([...new Array<string>(5).fill('broker-unavailable'), 200]);
});

test('a batch that the broker may have taken does', async () => {
  expect(await answersWhile('broker-timeout')).toEqual([
    ...new Array<string>(3).fill('broker-timeout'),
    ...new Array<string>(3).fill('rate-limited'),
  ]);
});
