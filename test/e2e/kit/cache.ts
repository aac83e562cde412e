import {type Region} from './region.ts';

/** Sends commands to the cache, a line each, and returns what it printed. */
const redis = ({kubectl, name}: Region, commands: readonly string[]): Promise<string> =>
  kubectl.ok(
    [
      'exec',
      '-i',
      `deployment/${name}-redis`,
      '--',
      'sh',
      '-c',
      'REDISCLI_AUTH=$(cat /etc/pisync/secrets/password) exec redis-cli',
    ],
    `${commands.join('\n')}\n`,
  );

/** Has every write to the cache wait. */
export const pauseWrites = async (region: Region, mends: AsyncDisposableStack): Promise<void> => {
  mends.defer(async () => {
    await redis(region, ['CLIENT UNPAUSE']);
  });
  await redis(region, ['CLIENT PAUSE 600000 WRITE']);
};

/** The cache's number of keys; with a command also the number right after it. */
export async function cacheSizes(region: Region, command?: 'FLUSHALL'): Promise<readonly number[]> {
  const commands = command === undefined ? ['DBSIZE'] : ['DBSIZE', command, 'DBSIZE'];
  const printed = await redis(region, commands);
  const answers = printed.trim().split('\n');
  if (answers.length !== commands.length || (command !== undefined && answers[1] !== 'OK'))
    throw new Error(`the cache answered ${commands.join(', ')} with ${printed}`);
  return answers.filter((answer) => answer !== 'OK').map((answer) => Number(answer.replace('(integer) ', '')));
}
