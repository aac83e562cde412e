import {test} from '@jest/globals';
import {globSync} from 'node:fs';
import {describeStarts, REAL_PROGRAMS} from './testing/start-cases.ts';

if (globSync(REAL_PROGRAMS).length > 0) describeStarts('real');
else test.todo('needs the programs of PostgreSQL on this machine');
