import {type Region} from './region.ts';

/** The cache's number of keys; with a command also the number right after it. */
export async function cacheSizes(region: Region, command?: 'FLUSHALL'): Promise<readonly number[]> {
  const commands = command === undefined ? ['DBSIZE'] : ['DBSIZE', command, 'DBSIZE'];
  const printed = await region.kubectl.ok(
    [
      'exec',
      '-i',
      `deployment/${region.name}-redis`,
      '--',
      'sh',
      '-c',
      'REDISCLI_AUTH=$(cat /etc/pisync/secrets/password) exec redis-cli',
    ],
    `${commands.join('\n')}\n`,
  );
  const answers = printed.trim().split('\n');
  if (answers.length !== commands.length || (command !== undefined && answers[1] !== 'OK'))
    throw new Error(`the cache answered ${commands.join(', ')} with ${printed}`);
  return answers.filter((answer) => answer !== 'OK').map((answer) => Number(answer.replace('(integer) ', '')));
}
