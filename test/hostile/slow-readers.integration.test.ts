/** Hundreds who ask for the largest pages there are and do not read them: the admin API outlives them, and its memory stays far from its limit. */
import {randomBytes} from 'node:crypto';
import {connect, type Socket} from 'node:net';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import {type HostileDevice, type HostileRegion, MEMORY_LIMIT_BYTES, startHostileRegion} from './region.ts';
import {watch} from './watch.ts';

const READERS = 300;
/** One may have forty calls under way. */
const READERS_A_TOKEN = 30;
const ASKS_EVERY_MS = 500;
const LASTS_MS = 10_000;
/** Together they are one page. */
const RECORDS = 16;
const RECORD_BYTES = 32 * 1024;

let region: HostileRegion;
let token: string;
let theirs: readonly string[];
let devices: readonly HostileDevice[];

const fill = async ({deviceKey}: HostileDevice, datum: () => unknown): Promise<void> => {
  const data = Array.from({length: RECORDS}, () => JSON.stringify(datum()));
  await region.shards.shards.pool(0, 'job').query(
    `insert into record (received_day, device_key, epoch, batch_seq, ordinal, seq, kind, received_at, data)
     select current_date, $1, 1, n, 0, n, 'reading', now(), d::jsonb from unnest($2::text[]) with ordinality as r (d, n)`,
    [deviceKey, data],
  );
};

beforeAll(async () => {
  region = await startHostileRegion();
  [token = '', ...theirs] = await region.makeTokens(1 + READERS / READERS_A_TOKEN);
  devices = await region.enrolDevices(2);
  const [wide, dense] = devices;
  if (wide === undefined || dense === undefined) throw new Error('two devices were enrolled');
  // Parsed it is forty times as large.
  await fill(wide, () => Array.from({length: RECORD_BYTES / 10}, () => ({34: 1})));
  // Packed it is as large as before.
  await fill(dense, () => randomBytes((RECORD_BYTES * 3) / 4).toString('base64'));
}, 120_000);
afterAll(() => region.close(), 60_000);

/** Opens connections anew as they are cut, and reads none of them. */
const startReaders = (port: number): {stop(): void} => {
  const open = new Set<Socket>();
  let turn = 0;
  let isOver = false;
  const ask = (socket: Socket): void => {
    const device = devices[turn % devices.length];
    const theirToken = theirs[turn % theirs.length] ?? '';
    turn += 1;
    socket.write(
      `GET /api/v1/devices/${device?.deviceId}/records?limit=500 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nAuthorization: Bearer ${theirToken}\r\n\r\n`,
    );
  };
  const begin = (): void => {
    const socket = connect(port, '127.0.0.1').pause();
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      open.delete(socket);
      if (!isOver) begin();
    });
    ask(socket);
  };
  for (let n = 0; n < READERS; n++) begin();
  const again = setInterval(() => {
    for (const socket of open) ask(socket);
  }, ASKS_EVERY_MS);
  return {
    stop() {
      isOver = true;
      clearInterval(again);
      for (const socket of open) socket.destroy();
    },
  };
};

test('who asks for pages and does not read them takes no more memory than there is', async () => {
  const service = region.services['admin-api'];
  const watching = await watch(service);
  const list = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${service.port}/api/v1/devices`, {
      headers: {authorization: `Bearer ${token}`},
    });
    await answer.text();
    return answer.status;
  };
  const readers = startReaders(service.port);
  const statuses = new Set<number>();
  try {
    const deadline = performance.now() + LASTS_MS;
    while (performance.now() < deadline) statuses.add(await list());
  } finally {
    readers.stop();
  }
  // It may be busy and has to say so.
  expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
  await until('an answer', list, (status) => status === 200);
  const {peakBytes} = await watching.stop();
  process.stderr.write(`${READERS} who do not read: ${Math.round(peakBytes / 1024 / 1024)} MiB at the most\n`);
  expect(peakBytes).toBeLessThan((MEMORY_LIMIT_BYTES * 2) / 3);
}, 120_000);
