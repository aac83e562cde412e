import {expect, test} from '@jest/globals';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {fileURLToPath} from 'node:url';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

test('ends at once, and says why, when its port is taken', async () => {
  const holder = createServer().listen(0);
  await once(holder, 'listening');
  const address = holder.address();
  const port = typeof address === 'object' && address !== null ? String(address.port) : '';
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN], {
    env: {PISYNC_OPS_PORT: port, PISYNC_IMAGE_SERVICE: 'pisync:1', KUBERNETES_SERVICE_HOST: '127.0.0.1'},
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  // It would not end by itself; the test says so then.
  const hard = setTimeout(() => child.kill('SIGKILL'), 30_000);
  try {
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(errors).toContain(`PISYNC_OPS_PORT: cannot listen on port ${port}`);
  } finally {
    clearTimeout(hard);
    holder.close();
  }
});
