import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {type BodyReader, createBodyReader, READ_AT_ONCE_BYTES} from './body-reader.ts';
import {parseSyncBody} from './sync-body.ts';

let reader: BodyReader;
beforeAll(() => {
  reader = createBodyReader(new URL('./body-thread.ts', import.meta.url));
});
afterAll(() => reader.close());

const bodyOf = (records: readonly unknown[], rest: object = {}): Buffer =>
  Buffer.from(JSON.stringify({epoch: 'e1', batchSeq: 1, mode: 'delta', records, ...rest}));

const large = bodyOf(
  Array.from({length: 400}, (_, n) => ({s: n, k: 'reading', d: n === 7 ? '\0' : {text: 'x'.repeat(100)}})),
);

test('a large body is read as a small one is', async () => {
  expect(large.length).toBeGreaterThan(READ_AT_ONCE_BYTES);
  const small = bodyOf([{s: 1, k: 'a'}]);
  const read = await Promise.all([large, small, large].map((body) => reader.read(body)));
  expect(read).toEqual([large, small, large].map(parseSyncBody));
  expect(read[0]).toMatchObject({bad: [7], recordCount: 400});
});

test.each([
  ['what is no JSON', Buffer.alloc(READ_AT_ONCE_BYTES + 1, '1,')],
  ['what is no sync call', bodyOf([], {epoch: 7, filler: 'x'.repeat(READ_AT_ONCE_BYTES)})],
  ['too many records', bodyOf(Array.from({length: 5_000}, () => ({s: 1, k: 'a'})))],
])('%s is refused with the same words', async (_what, body) => {
  let refusal: unknown;
  try {
    parseSyncBody(body);
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toBeInstanceOf(Error);
  const {code, errors, extra, message} = refusal as Error & Readonly<Record<string, unknown>>;
  await expect(reader.read(body)).rejects.toMatchObject({code, errors, extra, message});
});

test('the event loop goes on while a large body is read', async () => {
  const slow = bodyOf([], {state: Object.fromEntries(Array.from({length: 90_000}, (_, n) => [n.toString(36), 1]))});
  await reader.read(large);
  const isRead = new AbortController();
  void reader.read(slow).then(() => isRead.abort());
  let turns = 0;
  for (; !isRead.signal.aborted; turns++) await new Promise((next) => setImmediate(next));
  expect(turns).toBeGreaterThan(10);
});

test('bodies for which no thread starts are refused for now, and the next are read', async () => {
  // No thread starts from there.
  const address = new URL('https://nowhere.example/body-thread.js');
  const starting = createBodyReader(address);
  for (let time = 0; time < 2; time++) {
    await expect(starting.read(large)).rejects.toMatchObject({code: 'overloaded'});
  }
  address.href = new URL('./body-thread.ts', import.meta.url).href;
  await expect(starting.read(large)).resolves.toMatchObject({recordCount: 400});
  await starting.close();
});

test('bodies over which the thread ends are refused for now, and the next are read', async () => {
  const dying = createBodyReader(new URL('data:text/javascript,setTimeout(() => process.exit(1), 50)'));
  await expect(Promise.all([dying.read(large), dying.read(large)])).rejects.toMatchObject({code: 'overloaded'});
  await expect(dying.read(large)).rejects.toMatchObject({code: 'overloaded'});
  await expect(dying.read(bodyOf([]))).resolves.toMatchObject({recordCount: 0});
  await dying.close();
});
