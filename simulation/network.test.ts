import {expect, test} from '@jest/globals';
import {type HttpReply} from '@pisync/agent/client/answer';
import {type Call} from '@pisync/agent/client/transport';
import {knownViolation, misledName} from './judge/known-violations.ts';
import {createNetwork} from './network.ts';
import {createProcess} from './processes/process.ts';
import {createRandom, type Random} from './random.ts';
import {createScheduler} from './scheduler.ts';

const TAKEN: HttpReply = {kind: 'reply', status: 200, retryAfter: undefined, body: '{}'};
const call: Call = {
  ...{method: 'POST', baseUrl: 'http://region', path: '/v1/sync?nonce=n1', headers: {}},
  body: Buffer.from(JSON.stringify({records: [1, 2, 3, 4]})),
};

/** A call and its copy, of which the first to arrive comes through. After it the way lets so many records through. */
const sendTwice = async (
  firstIsCopy: boolean,
  allowed: number,
): Promise<{readonly misled: number; readonly status: number}> => {
  const scheduler = createScheduler();
  const process = createProcess({name: 'pi', scheduler, startMs: 0, clock: {offsetMs: 0}});
  const [early, late] = [10, 20];
  // The copy is planned first.
  const delays = firstIsCopy ? [early, late, early] : [late, early, early];
  const random: Random = {
    ...createRandom(1),
    chance: (probability) => probability === 1,
    skewed: () => delays.shift() ?? 0,
  };
  const ways = {inTime: Infinity, allowed: Infinity, unsaid: Infinity};
  let misled = 0;
  const network = createNetwork({
    ...{scheduler, random, ways: () => ways},
    servers: () => [
      {
        process,
        handle() {
          ways.allowed = allowed;
          return Promise.resolve(TAKEN);
        },
      },
    ],
    faults: () => ({lost: 0, doubled: 1, mixed: 0, slowMs: 1}),
    onMisled: () => (misled += 1),
  });
  const reply = network(process)(call);
  await scheduler.run(1000);
  const answer = await reply;
  return {misled, status: answer.kind === 'reply' ? answer.status : 0};
};

test('a page for a call of which a copy came through misleads its device', async () => {
  expect(await sendTwice(true, 2)).toEqual({misled: 1, status: 413});
});

test('a page for a copy reaches nobody', async () => {
  expect(await sendTwice(false, 2)).toEqual({misled: 0, status: 200});
});

test('a call that comes through as well as its copy misleads nobody', async () => {
  expect(await sendTwice(true, 4)).toEqual({misled: 0, status: 200});
});

test.each([
  ['of that batch', 'd1', 'e1/2 came with two contents (conflict)', true],
  ['of another batch', 'd1', 'e1/21 came with two contents (conflict)', false],
  ['of another device', 'd2', 'e1/2 came with two contents (conflict)', false],
  ['of what nobody can prove', 'd1', 'e1/2 came with two contents (unproved)', false],
])('only a conflict of a batch whose device was misled is known: %s', (_what, device, detail, isKnown) => {
  const none = new Set<string>();
  const world = {
    ofRestoredShards: none,
    hasLostMessages: false,
    isNarrow: false,
    ...{copied: none, damaged: none},
    misled: new Set([misledName('d1', 'e1', 2)]),
  };
  expect(knownViolation({law: 'no number is used twice', device, detail}, world) !== undefined).toBe(isKnown);
});
