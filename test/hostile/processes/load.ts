/** Carries out one piece of load, given as JSON in the first argument, and prints what came of it as JSON: a process of its own, so that those who are hostile do not slow down those who measure. */
import {attack, type Attack} from '../attack.ts';
import {BEGUN} from './begun.ts';
import {type Innocence, live} from '../innocents.ts';

export type Load = ({readonly do: 'attack'} & Attack) | ({readonly do: 'live'} & Innocence);

// Written by ../region.ts, which has this type.
const load = JSON.parse(process.argv[2] ?? '') as Load;
process.stderr.write(BEGUN);
process.stdout.write(JSON.stringify(load.do === 'attack' ? await attack(load) : await live(load)));
