import {beforeEach, expect, test} from '@jest/globals';
import {type ApiRequest} from './api-client.ts';
import {ApiError} from './errors.ts';
import {EventRecorder} from './event-recorder.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {forever, testLog} from './testing/fixtures.ts';

const shop = {apiVersion: 'example.org/v1', kind: 'Shop', namespace: 'default', name: 'north', uid: 'u1'};
const draft = (reason: string) => ({type: 'Normal', reason, note: 'a note'}) as const;

let clock: FakeClock;
let sent: ApiRequest[];
let isGone: boolean;
let isAway: boolean;
let recorder: EventRecorder;

beforeEach(() => {
  clock = new FakeClock();
  sent = [];
  isGone = false;
  isAway = false;
  recorder = new EventRecorder({
    client: {
      send: (call) => {
        if (isAway) return Promise.reject(new ApiError('away', {status: 503}));
        if (isGone && call.method === 'PATCH')
          return Promise.reject(new ApiError('gone', {status: 404, reason: 'NotFound'}));
        sent.push(call);
        return Promise.resolve({status: 201, body: {}});
      },
    },
    clock,
    log: testLog(),
    controller: 'example.org/shop-operator',
    instance: 'pod-1',
    randomText: () => 'ff',
  });
});

const methods = (): string[] => sent.map(({method}) => method);
const again = async (reason: string): Promise<void> => {
  await recorder.report(shop, [], forever);
  await recorder.report(shop, [draft(reason)], forever);
};

test('what every pass reports is one event, written when it begins', async () => {
  for (let pass = 0; pass < 5; pass++) await recorder.report(shop, [draft('Conflict')], forever);
  expect(methods()).toEqual(['POST']);
  expect(sent[0]?.body).toMatchObject({
    reason: 'Conflict',
    action: 'Reconcile',
    eventTime: '2026-01-01T00:00:00.000000Z',
    regarding: {kind: 'Shop', name: 'north', uid: 'u1'},
  });
});

test('the second time starts a series, later ones are counted and written once a minute', async () => {
  for (let time = 0; time < 5; time++) await again('Repaired');
  expect(methods()).toEqual(['POST', 'PATCH']);
  await clock.advance(60_000);
  await again('Repaired');
  expect(sent.at(-1)?.body).toMatchObject({series: {count: 6}});
});

test('a series whose event has expired begins anew', async () => {
  await again('Repaired');
  isGone = true;
  await again('Repaired');
  expect(methods()).toEqual(['POST', 'POST']);
});

test('an object gets 25 events at once, then one in five minutes', async () => {
  const many = Array.from({length: 40}, (_, index) => draft(`Reason${index}`));
  await recorder.report(shop, many, forever);
  expect(sent).toHaveLength(25);
  await clock.advance(300_000);
  await recorder.report(shop, [draft('Later'), draft('TooMuch')], forever);
  expect(sent).toHaveLength(26);
  await recorder.report({...shop, uid: 'u2'}, [draft('Other')], forever);
  expect(sent).toHaveLength(27);
});

test('what happened again is counted, though the pass before reported it as well', async () => {
  for (let pass = 0; pass < 5; pass++) await recorder.report(shop, [{...draft('Repaired'), happened: true}], forever);
  expect(methods()).toEqual(['POST', 'PATCH']);
  await clock.advance(60_000);
  await recorder.report(shop, [{...draft('Repaired'), happened: true}], forever);
  expect(sent.at(-1)?.body).toMatchObject({series: {count: 6}});
});

test.each([
  ['goes on', [draft('NotReady')]],
  ['has happened', []],
])('what a server did not take is told by the next pass, be it that it %s', async (_what, drafts) => {
  isAway = true;
  await recorder.report(shop, [draft('NotReady')], forever);
  isAway = false;
  for (let pass = 0; pass < 3; pass++) await recorder.report(shop, drafts, forever);
  expect(methods()).toEqual(['POST']);
});

test('what a server did not take is told for ten minutes, or until there is something newer of its kind', async () => {
  isAway = true;
  await recorder.report(shop, [draft('NotReady'), draft('Conflict')], forever);
  isAway = false;
  await recorder.report(shop, [{...draft('Conflict'), note: 'another'}], forever);
  expect(sent.map(({body}) => body)).toMatchObject([{reason: 'NotReady'}, {reason: 'Conflict', note: 'another'}]);
  isAway = true;
  await recorder.report(shop, [draft('Stalled')], forever);
  isAway = false;
  await clock.advance(600_001);
  await recorder.report(shop, [], forever);
  expect(sent).toHaveLength(2);
});

test('a server that is silent about events holds nobody up for long, however many there are', async () => {
  const silent = new EventRecorder({
    client: {
      send: ({signal}) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    },
    clock,
    log: testLog(),
    controller: 'example.org/shop-operator',
    instance: 'pod-1',
    randomText: () => 'ff',
  });
  let isOver = false;
  const many = Array.from({length: 20}, (_, index) => draft(`Reason${index}`));
  void silent.report(shop, many, forever).then(() => (isOver = true));
  await clock.advance(5_000);
  expect(isOver).toBe(true);
});

test('a note is cut after a kibibyte, as the server counts', async () => {
  await recorder.report(shop, [{...draft('Long'), note: 'ä'.repeat(1_000)}], forever);
  const {note} = sent[0]?.body as {readonly note: string};
  expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1_024);
  expect(note).toMatch(/^ä+\.\.\.$/);
});
