import {expect, test} from '@jest/globals';
import {warmUp} from './warm-up.ts';

test('opens connections to every shard, and waits neither long nor in vain for one that is away', async () => {
  const asked: number[] = [];
  const faults: string[] = [];
  const ask = (shardId: number): Promise<unknown> => {
    asked.push(shardId);
    if (shardId === 1) return Promise.reject(new Error('refused'));
    return shardId === 2 ? new Promise(() => undefined) : Promise.resolve();
  };
  await warmUp({ask, shardIds: [0, 1, 2], patienceMs: 20, onFault: (error) => faults.push(String(error))});
  expect(asked).toEqual([0, 0, 1, 1, 2, 2]);
  expect(faults.toSorted()).toEqual([
    expect.stringContaining('shard 2 did not answer within 20 ms'),
    expect.stringContaining('shard 2 did not answer within 20 ms'),
    'Error: refused',
    'Error: refused',
  ]);
});
