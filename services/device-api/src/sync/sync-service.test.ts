import {expect, test} from '@jest/globals';
import type {Command} from '@pisync/core/commands/commands';
import type {Credential} from '@pisync/core/devices/credentials';
import {createSyncService} from './sync-service.ts';

const command = (epoch: number): Command => ({
  commandId: 'command-1',
  requestId: 'request-1',
  type: 'epoch.new',
  params: {epoch},
  priority: 'high',
  createdAt: new Date(0),
  expiresAt: new Date(1e12),
  deliveredAt: null,
});

/** What a device whose newest epoch is `issued` is told on a heartbeat while a command asks for an epoch after 1, and which commands are marked. */
const hear = async (issued: number, cmdAcks: readonly string[] = []) => {
  const delivered: string[] = [];
  const service = createSyncService({
    credentials: {findFresh: () => Promise.resolve(undefined)},
    positions: {
      find: () => Promise.resolve({applied: 0, accepted: undefined, commands: true, fromShard: true}),
      findInShard: () => Promise.reject(new Error('not asked')),
      noteAccepted: () => Promise.resolve(),
    },
    publish: () => Promise.resolve(),
    lastSeen: {note: () => undefined},
    shards: {
      openCommands: () => Promise.resolve([command(1)]),
      markDelivered(deliveries) {
        delivered.push(...deliveries.map(({commandId}) => commandId));
        return Promise.resolve();
      },
    },
    optionalRead: (_, read) => read(),
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
  const answer = await service.sync(
    device,
    {
      ...{epoch: 'e1', batchSeq: 0, mode: 'heartbeat', reason: undefined, more: false},
      ...{recordCount: 0, cmdAcks, bad: [], faults: [], contentHash: '0'.repeat(64)},
    },
    Buffer.alloc(0),
  );
  return {told: answer.commands.length, delivered};
};

test('a device is told to begin a new epoch', async () => {
  expect(await hear(1)).toEqual({told: 1, delivered: ['command-1']});
});

test('a device that has enrolled anew since is not told again, also while nothing of the new epoch is applied', async () => {
  expect(await hear(2)).toEqual({told: 0, delivered: []});
});

test('a device that says that it has done a command is not told again, while that is on its way to the shard', async () => {
  expect(await hear(1, ['command-1'])).toEqual({told: 0, delivered: []});
});
