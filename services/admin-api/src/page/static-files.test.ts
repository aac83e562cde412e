import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import express from 'express';
import {readStaticFiles, serveStaticFiles} from './static-files.ts';

let folder: string;
let base: string;
let close: () => void;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pisync-page-'));
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>PiSync</title>');
  await writeFile(join(folder, 'views.json'), '["/", "/devices", "/devices/*"]');
  await writeFile(join(folder, 'assets', 'index-abc.js'), 'export {};'.repeat(100));
  const app = express();
  app.use(serveStaticFiles(await readStaticFiles(folder)));
  const server = createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the test server has no TCP port');
  base = `http://127.0.0.1:${address.port}`;
  close = () => server.close();
});

afterAll(async () => {
  close();
  await rm(folder, {recursive: true});
});

describe('static files', () => {
  test('hashed assets may be kept for ever, compressed', async () => {
    const answer = await fetch(`${base}/assets/index-abc.js`);
    expect(answer.headers.get('cache-control')).toContain('immutable');
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(answer.headers.get('content-type')).toContain('text/javascript');
    expect(await answer.text()).toBe('export {};'.repeat(100));
  });

  test('every view gets index.html, which is asked for again each time', async () => {
    const answer = await fetch(`${base}/devices/x`);
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect(await answer.text()).toContain('PiSync');
    const etag = answer.headers.get('etag') ?? '';
    expect((await fetch(`${base}/`, {headers: {'if-none-match': etag}})).status).toBe(304);
    // As a proxy may write it.
    expect((await fetch(`${base}/`, {headers: {'if-none-match': etag.replace('W/', '')}})).status).toBe(304);
  });

  test.each([
    '/api',
    '/api/v1/nope',
    '/assets/gone.js',
    '/..%2f..%2fetc%2fpasswd',
    '/assets/../../package.json',
    '/nope',
    '/devices/x/nope',
    '/devices.html',
    '/wp-login.php',
    '/.env',
  ])('gives nothing for %s', async (path) => {
    const answer = await fetch(`${base}${path}`);
    expect({path, status: answer.status}).toEqual({path, status: 404});
  });

  test('a folder without index.html is refused with its name', async () => {
    await expect(readStaticFiles(join(folder, 'assets'))).rejects.toThrow(/assets holds no index.html and views.json/);
  });
});
