import {expect, test} from '@jest/globals';
import {parseAgentCommand} from './options.ts';

const MIB = 1024 * 1024;
const ARGS = ['--url', 'https://eu.sync.example.com', '--state-dir', '/var/lib/pisync'];

test('takes as many readings as the memory of the process holds, and no more', () => {
  const run = (memoryMib: number, ...more: string[]) => parseAgentCommand([...ARGS, ...more], memoryMib * MIB);
  expect(run(256, '--max-queued', '196608')).toMatchObject({kind: 'run', options: {maxQueued: 196_608}});
  expect(run(256, '--max-queued', '196609')).toEqual({
    kind: 'wrong',
    problems: [expect.stringMatching(/--max-queued must be at most 196608,.* 256 MiB/)],
  });
  expect(run(8192, '--max-queued', '1000000')).toMatchObject({kind: 'run'});
  expect(run(256)).toMatchObject({kind: 'run', options: {maxQueued: 100_000}});
  expect(run(128)).toMatchObject({kind: 'run', options: {maxQueued: 65_536}});
});
