/** What the operator image starts: `main.mjs [arguments]`. */
import {loadProgram} from './main-module.ts';

const {main} = await loadProgram('operator', import.meta.url);
await main(process.argv.slice(2));
