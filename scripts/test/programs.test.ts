import {expect, test} from '@jest/globals';
import {runPrinted} from './programs.ts';

/** More than a pipe holds, so that the write is still under way when the program ends. */
const INPUT = 'x'.repeat(1_000_000);

test('a program is known by its code, also when it ends without reading its input', async () => {
  expect(await runPrinted(['sh', '-c', 'exec <&-; echo done'], INPUT)).toBe('done\n');
  await expect(runPrinted(['sh', '-c', 'exec <&-; exit 3'], INPUT)).rejects.toThrow('ended with 3');
  await expect(runPrinted(['no-such-program'], INPUT)).rejects.toThrow('no-such-program');
});
