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
const MANY = 200;
/** What a connection takes while nobody reads is less. */
const SURELY_READ = 12;
/** For which the first page is held open, so that another one could be read meanwhile. */
const OPEN_MS = 1_500;

let end = (): Promise<unknown> => Promise.resolve();

afterEach(() => end());

/** A server of ConfigMaps alone. */
const serve = async (answer: (response: ServerResponse, query: URLSearchParams) => void) => {
  const server = createServer(({url = ''}, response) => {
    const {pathname, searchParams} = new URL(url, 'http://any');
    response.writeHead(200, {'content-type': 'application/json'});
    if (pathname === '/api/v1')
      response.end(JSON.stringify({resources: [{kind: 'ConfigMap', name: 'configmaps', namespaced: true}]}));
    else if (searchParams.has('watch')) response.flushHeaders();
    else answer(response, searchParams);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const credentials = () => Promise.resolve({server: `http://127.0.0.1:${port}`, tls: {}, headers: {}});
  const client = new ApiClient({credentials, clock: systemClock, userAgent: 'test'});
  /** Until all of it is seen. */
  const follow = async (reflectors: number, objects = OBJECTS): Promise<void> => {
    const part = ({apiVersion, kind, metadata}: KubeObject) => ({apiVersion, kind, metadata});
    const followed = Array.from({length: reflectors}, () => reflect(client, {keep: {isWhole: () => false, part}}));
    end = async () => {
      await Promise.all(followed.map((one) => one.end()));
      await client.close();
      server.close();
    };
    await eventually(
      () => (followed.every(({store}) => store.size === objects) ? true : undefined),
      () => followed.flatMap(({log}) => log.lines).join('\n'),
    );
  };
  return {follow};
};

const item = (number: number, data: object): string => {
  const metadata = {name: `n${number}`, namespace: 'default', uid: `${number}`, resourceVersion: '1'};
  return JSON.stringify({metadata, data});
};

test('however many kinds are listed at once, one long page is in memory at a time', async () => {
  const begun = new AbortController();
  const second = new AbortController();
  let reading = 0;
  let isOverlapping = false;
  const answer = async (response: ServerResponse): Promise<void> => {
    response.write('{"metadata":{"resourceVersion":"1"},"items":[');
    for (let number = 0; number < OBJECTS; number++) {
      const text = item(number, {MEGABYTE});
      if (!response.write(number === 0 ? text : `,${text}`)) await once(response, 'drain');
      if (number !== SURELY_READ) continue;
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
  const {follow} = await serve((response) => void answer(response));
  await follow(3);
  expect(isOverlapping).toBe(false);
});

test('a page that is too long for memory is asked for again with fewer objects', async () => {
  const asked: (string | null)[] = [];
  const {follow} = await serve((response, query) => {
    asked.push(query.get('limit'));
    const from = Number(query.get('continue') ?? 0);
    const to = Math.min(OBJECTS, from + Number(query.get('limit')));
    const items = Array.from({length: to - from}, (_, index) => item(from + index, {a: MEGABYTE, b: MEGABYTE}));
    const metadata = {resourceVersion: '1', ...(to < OBJECTS && {continue: String(to)})};
    response.end(`{"metadata":${JSON.stringify(metadata)},"items":[${items.join()}]}`);
  });
  await follow(1);
  expect(asked).toEqual(['20', '4', '4', '4', '4']);
});

test('one long object makes the pages around it shorter, and not all that follow', async () => {
  const asked: (string | null)[] = [];
  const {follow} = await serve((response, query) => {
    asked.push(query.get('limit'));
    const from = Number(query.get('continue') ?? 0);
    const to = Math.min(MANY, from + Number(query.get('limit')));
    const items = Array.from({length: to - from}, (_, index) =>
      item(from + index, from + index === 2 ? {a: MEGABYTE.repeat(17)} : {}),
    );
    const metadata = {resourceVersion: '1', ...(to < MANY && {continue: String(to)})};
    response.end(`{"metadata":${JSON.stringify(metadata)},"items":[${items.join()}]}`);
  });
  await follow(1, MANY);
  expect(asked.slice(0, 13)).toEqual(['20', '4', '1', '1', '1', '1', '1', '5', '5', '5', '5', '5', '20']);
  expect(asked).toHaveLength(13 + 8);
});
