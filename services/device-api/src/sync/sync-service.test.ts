import {expect, test} from '@jest/globals';
import type {Command} from '@pisync/core/commands/commands';
import type {Credential} from '@pisync/core/devices/credentials';
import type {SyncBody} from './sync-body.ts';
import {createSyncService} from './sync-service.ts';

const command = (of: Pick<Command, 'type'> & Partial<Command>): Command => ({
  commandId: 'command-1',
  requestId: 'request-1',
  params: {},
  priority: 'high',
  createdAt: new Date(0),
  expiresAt: new Date(1e12),
  deliveredAt: null,
  ...of,
});

const HEARTBEAT: SyncBody = {
  ...{epoch: 'e1', batchSeq: 0, mode: 'heartbeat', reason: undefined, more: false},
  ...{recordCount: 0, valueCount: 1, cmdAcks: [], bad: [], faults: [], isStateBad: false, contentHash: '0'.repeat(64)},
};

/** What is made of the call of a device whose newest epoch is `issued`, while these commands wait for it. */
const sync = async (issued: number, open: readonly Command[], call: Partial<SyncBody> = {}) => {
  const delivered: string[] = [];
  const lanes: string[] = [];
  let asked = 0;
  const service = createSyncService({
    credentials: {findFresh: () => Promise.resolve(undefined)},
    positions: {
      find: () =>
        Promise.resolve({applied: 0, atLeast: 0, accepted: undefined, commands: open.length > 0, fromShard: true}),
      findInShard: () => Promise.reject(new Error('not asked')),
      noteAccepted: () => Promise.resolve(),
    },
    publish(_, priority) {
      lanes.push(priority);
      return Promise.resolve();
    },
    lastSeen: {note: () => undefined},
    shards: {
      openCommands() {
        asked += 1;
        return Promise.resolve(open);
      },
      markDelivered(deliveries) {
        delivered.push(...deliveries.map(({commandId}) => commandId));
        return Promise.resolve();
      },
    },
    optionalRead: (_, read) => read(),
    chargeBytes: () => Promise.resolve(() => Promise.resolve()),
    syncWindow: () => ({start: '00:00', durationMinutes: 60}),
    wallClock: () => 0,
    onShardFault: () => undefined,
  });
  const device: Credential = {
    deviceId: '00000000-0000-5000-8000-000000000000',
    deviceKey: 1,
    slot: 0,
    secretHash: Buffer.alloc(32),
    epoch: issued,
    revoked: false,
  };
  const answer = await service.sync(device, {...HEARTBEAT, ...call}, Buffer.alloc(0));
  return {told: answer.commands.length, delivered, lanes, asked};
};

const NEW_EPOCH = command({type: 'epoch.new', params: {epoch: 1}});

test('a device is told to begin a new epoch', async () => {
  expect(await sync(1, [NEW_EPOCH])).toMatchObject({told: 1, delivered: ['command-1']});
});

test('a device that has enrolled anew since is not told again, also while nothing of the new epoch is applied', async () => {
  expect(await sync(2, [NEW_EPOCH])).toMatchObject({told: 0, delivered: []});
});

test('a device that says that it has done a command is not told again, while that is on its way to the shard', async () => {
  expect(await sync(1, [NEW_EPOCH], {cmdAcks: ['command-1']})).toMatchObject({told: 0, delivered: []});
});

test.each<[string, readonly Command[], string]>([
  ['nobody asked for', [], 'normal'],
  ['an urgent command asked for', [command({type: 'sync.full'})], 'high'],
  ['a command asked for that can wait', [command({type: 'sync.delta', priority: 'normal'})], 'normal'],
  ['a command of another kind did not ask for', [NEW_EPOCH], 'normal'],
])('a batch that calls itself forced and %s takes the lane %s', async (_who, open, lane) => {
  const forced = {mode: 'delta', batchSeq: 1, reason: 'forced'} as const;
  expect(await sync(1, open, forced)).toMatchObject({lanes: [lane], asked: Math.min(open.length, 1)});
});
