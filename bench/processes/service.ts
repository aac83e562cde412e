/** Starts a service from its sources, as its image does from a bundle: `service.ts <device-api|worker>`. */
import {main as deviceApi} from '@pisync/device-api/main';
import {main as worker} from '@pisync/worker/main';

const programs: Readonly<Record<string, (argv: readonly string[]) => Promise<void>>> = {
  'device-api': deviceApi,
  worker,
};
const [name = '', ...rest] = process.argv.slice(2);
const program = programs[name];
if (program === undefined) throw new Error(`"${name}" is none of ${Object.keys(programs).join(', ')}`);
await program(rest);
