/** The program itself, as a process of its own, against a region in memory. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {expect, test} from '@jest/globals';
import {startFakeRegion} from '../testing/fake-region.ts';

test('ends its run when nobody reads what it says any more', async () => {
  const region = await startFakeRegion();
  const folder = mkdtempSync(join(tmpdir(), 'pisync-fleet-'));
  try {
    const token = join(folder, 'token');
    writeFileSync(token, region.token);
    const few = ['--devices', '2', '--batches', '1', '--duration', '0.1', '--concurrency', '2'];
    const args = ['run', '--url', region.url, '--enrolment-token-file', token, ...few];
    const child = spawn('node', [fileURLToPath(new URL('main.ts', import.meta.url)), ...args]);
    child.stdout.destroy();
    child.stderr.destroy();
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect([...region.devices.values()].map(({batches}) => batches.size)).toEqual([1, 1]);
  } finally {
    await region.close();
    rmSync(folder, {recursive: true});
  }
});
