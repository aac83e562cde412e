import {afterEach, expect, test} from '@jest/globals';
import {once} from 'node:events';
import {createServer, type ServerResponse} from 'node:http';
import {ApiClient} from './api-client.ts';
import {pause, systemClock} from './clock.ts';
import {type KubeObject} from './object.ts';
import {eventually} from './testing/fixtures.ts';
import {reflect} from './testing/reflecting.ts';

const MEGABYTE = 'x'.repeat(2 ** 20);
const OBJECTS = 14;
/** What a connection takes while nobody reads is less. */
const SURELY_READ = 12;
/** For which the first page is held open, so that another one could be read meanwhile. */
const OPEN_MS = 1_500;

let end = (): Promise<unknown> => Promise.resolve();

afterEach(() => end());

/** A server whose every page has many megabytes. */
const longPages = async () => {
  const begun = new AbortController();
  const second = new AbortController();
  let reading = 0;
  let isOverlapping = false;
  const answer = async (response: ServerResponse): Promise<void> => {
    response.write('{"metadata":{"resourceVersion":"1"},"items":[');
    for (let item = 0; item < OBJECTS; item++) {
      const metadata = {name: `n${item}`, namespace: 'default', uid: `${item}`, resourceVersion: '1'};
      const text = JSON.stringify({metadata, data: {MEGABYTE}});
      if (!response.write(item === 0 ? text : `,${text}`)) await once(response, 'drain');
      if (item !== SURELY_READ) continue;
      reading++;
      isOverlapping ||= reading > 1;
      if (begun.signal.aborted) second.abort();
      else {
        begun.abort();
        await pause(systemClock, OPEN_MS, second.signal);
      }
    }
    reading--;
    response.end(']}');
  };
  const server = createServer(({url = ''}, response) => {
    response.writeHead(200, {'content-type': 'application/json'});
    if (url === '/api/v1')
      response.end(JSON.stringify({resources: [{kind: 'ConfigMap', name: 'configmaps', namespaced: true}]}));
    else if (url.includes('watch=true')) response.flushHeaders();
    else void answer(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const credentials = () => Promise.resolve({server: `http://127.0.0.1:${port}`, tls: {}, headers: {}});
  const client = new ApiClient({credentials, clock: systemClock, userAgent: 'test'});
  return {server, client, isOverlapping: () => isOverlapping};
};

test('however many kinds are listed at once, one long page is in memory at a time', async () => {
  const {server, client, isOverlapping} = await longPages();
  const part = ({apiVersion, kind, metadata}: KubeObject) => ({apiVersion, kind, metadata});
  const followed = Array.from({length: 3}, () => reflect(client, {keep: {isWhole: () => false, part}}));
  end = async () => {
    await Promise.all(followed.map((one) => one.end()));
    await client.close();
    server.close();
  };
  await eventually(
    () => (followed.every(({store}) => store.size === OBJECTS) ? true : undefined),
    () => followed.flatMap(({log}) => log.lines).join('\n'),
  );
  expect(isOverlapping()).toBe(false);
});
