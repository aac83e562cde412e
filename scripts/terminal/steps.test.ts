import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {runCommand} from './command.ts';
import {runSteps, type Step} from './steps.ts';

let folder: string;
let shown: string;
const output = {write: (text: string) => (shown += text)};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'steps-'));
  shown = '';
});
afterEach(() => rmSync(folder, {recursive: true}));

test('runs each step after what it needs, and keeps what it printed', async () => {
  const order: string[] = [];
  const step = (name: string, needs: readonly string[] = []): Step => ({
    name,
    needs,
    run: async ({log}) => {
      log(`this is ${name}`);
      await Promise.resolve();
      order.push(name);
    },
  });
  const code = await runSteps([step('last', ['first', 'other']), step('other'), step('first')], {
    logFolder: folder,
    output,
  });
  expect(code).toBe(0);
  expect(order.at(-1)).toBe('last');
  expect(readFileSync(join(folder, 'first.log'), 'utf8')).toBe('this is first\n');
});

test('a failure ends the commands of the other steps, and says where its log is', async () => {
  const started = performance.now();
  const code = await runSteps(
    [
      {
        name: 'slow',
        run: async (context) => {
          await runCommand(['sleep', '60'], context);
        },
      },
      {
        name: 'broken',
        run: async (context) => {
          await runCommand(['sh', '-c', 'echo what went wrong; exit 3'], context);
        },
      },
      {name: 'never', needs: ['broken'], run: () => Promise.reject(new Error('must not run'))},
    ],
    {logFolder: folder, output},
  );
  expect(code).toBe(1);
  expect(performance.now() - started).toBeLessThan(30_000);
  expect(shown).toContain('broken failed');
  expect(shown).toContain('| what went wrong');
  expect(shown).toContain(join(folder, 'broken.log'));
  expect(shown).toContain('slow  stopped');
  expect(shown).not.toContain('must not run');
});

test('refuses steps that need each other', async () => {
  const run = (): Promise<void> => Promise.resolve();
  const steps = [
    {name: 'a', needs: ['b'], run},
    {name: 'b', needs: ['a'], run},
  ];
  await expect(runSteps(steps, {logFolder: folder, output})).rejects.toThrow('need each other: a, b');
});
