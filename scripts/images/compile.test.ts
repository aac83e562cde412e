import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {COMMANDS} from '@pisync/contract/env';
import {expect, test} from '@jest/globals';
import {bundle, SERVICE} from './bundle.ts';

test('what compiles while the image is built leaves nothing of any command to compile at its start', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'compile-'));
  const run = (program: string, args: readonly string[], env: Readonly<Record<string, string>>) => {
    const {status, stderr} = spawnSync(process.execPath, [join(folder, 'app', program), ...args], {
      env: {...process.env, ...env},
      encoding: 'utf8',
    });
    return {status, stderr};
  };
  try {
    await bundle(SERVICE, join(folder, 'app'));
    const compiled = join(folder, 'compiled');
    expect(run('compile.mjs', [compiled], {})).toMatchObject({status: 0});
    for (const command of COMMANDS) {
      const {stderr} = run('main.mjs', [command, '--help'], {
        NODE_COMPILE_CACHE: compiled,
        NODE_DEBUG_NATIVE: 'COMPILE_CACHE',
      });
      const files = stderr.split('\n').filter((line) => line.includes('V8 code cache for'));
      expect(files.length).toBeGreaterThan(2);
      expect(files.filter((line) => !line.includes('was accepted'))).toEqual([]);
    }
  } finally {
    rmSync(folder, {recursive: true});
  }
});
