/**
 * What the service image runs while it is built: `compile.mjs <folder> [uid]` leaves there the compiled code of every command. V8 takes it from the same
 * Node.js with the same flags, CPU features and user, for files of the same path and content; everything else is compiled at each start as ever.
 */
import {spawnSync} from 'node:child_process';
import {chownSync, mkdirSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {COMMANDS} from '@pisync/contract/env';

const [folder = '', user] = process.argv.slice(2);
const main = fileURLToPath(new URL('./main.mjs', import.meta.url));
const identity = user === undefined ? {} : {uid: Number(user), gid: Number(user)};
mkdirSync(folder, {recursive: true});
if (user !== undefined) chownSync(folder, Number(user), Number(user));
for (const command of COMMANDS) {
  // Loads all that the command consists of, and ends.
  const {status} = spawnSync(process.execPath, [main, command, '--help'], {
    env: {...process.env, NODE_COMPILE_CACHE: folder},
    stdio: ['ignore', 'ignore', 'inherit'],
    ...identity,
  });
  if (status !== 0) throw new Error(`${command} --help ended with ${status}`);
}
