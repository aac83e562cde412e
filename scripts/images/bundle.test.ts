import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Worker} from 'node:worker_threads';
import {expect, test} from '@jest/globals';
import {bundle, SERVICE} from './bundle.ts';

test('device-api finds the thread that reads large bodies beside itself, and it reads', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
  try {
    await bundle(SERVICE, folder);
    const name = 'device-api-body-thread.mjs';
    // Addresses are those of the file in which they stand, so it may be in no chunk.
    expect(readFileSync(join(folder, 'device-api.mjs'), 'utf8')).toContain(`./${name}`);
    const thread = new Worker(join(folder, name), {execArgv: []});
    thread.postMessage(Buffer.from('{"epoch":"e1","batchSeq":7,"mode":"delta"}'));
    expect(await once(thread, 'message')).toMatchObject([{kind: 'body', body: {batchSeq: 7}}]);
    await thread.terminate();
  } finally {
    rmSync(folder, {recursive: true});
  }
});
