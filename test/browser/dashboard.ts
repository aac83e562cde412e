import {createServer, type IncomingHttpHeaders} from 'node:http';
import type {AddressInfo} from 'node:net';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {extname, join} from 'node:path';
import {ROOT} from '../e2e/kit/files.ts';
import {runOk} from '../e2e/kit/run.ts';

/** The dashboard of this checkout with an API that says what a test wants: what no region has at hand, such as a million devices. */
export interface ServedDashboard {
  readonly url: string;
  /** What was asked of the API so far, and which views. */
  readonly calls: readonly string[];
  close(): void;
}

interface ApiAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or its text. */
  readonly body: unknown;
}

/** @returns undefined for what is to be a 404 */
export type MockApi = (method: string, url: URL, headers: IncomingHttpHeaders) => ApiAnswer | undefined;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** @returns the folder of the built files */
export const buildDashboard = async (): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), 'pisync-dashboard-'));
  const source = join(ROOT, 'services/dashboard');
  await runOk([join(ROOT, 'node_modules/.bin/vite'), 'build', source, '--outDir', folder, '--logLevel', 'warn'], {
    timeoutMs: 240_000,
    // As it is shipped: what runs the tests says `test`, with which React checks itself and mounts everything twice.
    env: {NODE_ENV: 'production'},
  });
  return folder;
};

export const removeDashboard = (folder: string): void => rmSync(folder, {recursive: true});

/** @param lacks says which files are a 404 */
export const serveDashboard = async (
  folder: string,
  api: MockApi,
  lacks: (path: string) => boolean = () => false,
): Promise<ServedDashboard> => {
  const calls: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://dashboard.test');
    if (url.pathname.startsWith('/api/')) {
      calls.push(`${request.method} ${url.pathname}${url.search}`);
      const {
        status = 200,
        headers,
        body,
      } = api(request.method ?? 'GET', url, request.headers) ?? {
        status: 404,
        body: {title: 'Not found', status: 404, detail: 'There is no such thing.'},
      };
      response.writeHead(status, {'content-type': 'application/json', ...headers});
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
      return;
    }
    const path = extname(url.pathname) === '' ? '/index.html' : url.pathname;
    if (path === '/index.html') calls.push(`GET ${url.pathname}`);
    if (lacks(url.pathname)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {'content-type': TYPES[extname(path)] ?? 'application/octet-stream'});
    response.end(readFileSync(join(folder, path)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
};
