import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {takeSocketFile} from './state-folder.ts';

let folder: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'pisync-folder-')), 'long'.repeat(40));
  mkdirSync(folder);
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, {recursive: true});
});

/** Another process that tries to have the folder, and lives on. @returns whether it has it. */
const takeElsewhere = async (): Promise<{child: ChildProcess; isTaken: boolean}> => {
  const program = `
    import {takeSocketFile} from ${JSON.stringify(new URL('state-folder.ts', import.meta.url).href)};
    console.log(await takeSocketFile(${JSON.stringify(folder)}));
    setInterval(() => undefined, 1000);
  `;
  const child = spawn('node', ['--input-type=module', '-e', program], {stdio: ['ignore', 'pipe', 'inherit']});
  children.push(child);
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  return {child, isTaken: said.toString().trim() === 'true'};
};

test('a folder is found to be taken by its socket file, until the process that has it ends', async () => {
  const first = await takeElsewhere();
  expect([first.isTaken, await takeSocketFile(folder)]).toEqual([true, false]);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const others = await Promise.all([takeElsewhere(), takeElsewhere(), takeElsewhere()]);
  expect(others.filter(({isTaken}) => isTaken)).toHaveLength(1);
  expect(await takeSocketFile(folder)).toBe(false);
  expect(readdirSync(folder)).toEqual(['agent.sock']);
}, 30_000);
