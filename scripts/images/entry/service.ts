/** What the service image starts: `main.mjs <command> [arguments]`. */
import {COMMANDS, type Command} from '@pisync/contract/env';
import {loadProgram} from './main-module.ts';

const [command, ...rest] = process.argv.slice(2);
const isCommand = (text: string | undefined): text is Command => COMMANDS.some((known) => known === text);
if (isCommand(command)) {
  const {main} = await loadProgram(command, import.meta.url);
  await main(rest);
} else {
  process.stderr.write(`usage: main.mjs <${COMMANDS.join('|')}> [arguments]\n`);
  process.exitCode = 2;
}
