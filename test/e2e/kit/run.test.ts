import {expect, test} from '@jest/globals';
import {run} from './run.ts';

/** More than a pipe holds, so that the write is still under way when the program ends. */
const INPUT = 'x'.repeat(1_000_000);

test('a program is known by its code, also when it ends without reading its input', async () => {
  expect(await run(['sh', '-c', 'exec <&-; echo done; exit 3'], {stdin: INPUT})).toEqual({
    code: 3,
    stdout: 'done\n',
    stderr: '',
  });
});
