/** The load generator as a process of its own, so that nothing else keeps it from sending in time. Reads commands from its standard input and answers each. */
import {randomBytes} from 'node:crypto';
import {createInterface} from 'node:readline';
import {setTimeout as delay} from 'node:timers/promises';
import {type Percentiles} from '@pisync/agent/fleet/latency';
import {Fleet} from './fleet.ts';
import {type LoadAnswer, type LoadCommand, type LoadResult} from './commands.ts';

const newSecret = (): string => randomBytes(32).toString('base64url');
const parts = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: (ms: number) => delay(ms),
  random: Math.random,
  newSecret,
  run: newSecret().slice(0, 8),
};

// Ctrl-C reaches every process of the terminal; the benchmark ends this one when it has its answer.
process.on('SIGINT', () => undefined);

let fleet: Fleet | undefined;

const carryOut = async (command: LoadCommand): Promise<LoadResult | Percentiles | null> => {
  if (command.do === 'connect') {
    await fleet?.close();
    fleet = new Fleet(command, parts);
    return null;
  }
  if (fleet === undefined) throw new Error('not connected');
  if (command.do === 'watch') {
    await fleet.watch(command.shardUrls);
    return null;
  }
  if (command.do === 'visible') return fleet.visible();
  const before = process.cpuUsage();
  const result = await fleet.carryOut(command);
  const {user, system} = process.cpuUsage(before);
  return {...result, loadMicros: user + system};
};

for await (const line of createInterface({input: process.stdin})) {
  // Written by load-process.ts, which has this type.
  const command = JSON.parse(line) as LoadCommand;
  let answer: LoadAnswer;
  try {
    answer = {result: await carryOut(command)};
  } catch (error) {
    answer = {error: error instanceof Error ? error.message : String(error)};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await fleet?.close();
