/** Every example of docs/api/admin.md: its calls are made, its answers look as they are shown, and its filters find devices. */
import {randomUUID} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {appendToChain, clearOutbox, readOutbox} from '@pisync/core/audit/chain';
import type {Cache} from '@pisync/core/cache/cache';
import {
  blocksOf,
  codeSpansOf,
  compareShown,
  curlCallOf,
  type DocBlock,
  examplesIn,
  parseShown,
  wordsOf,
} from '@pisync/core/testing/doc-examples';
import {openTestCache} from '@pisync/core/testing/open-test-cache';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {ensureGroup, seedDevices, type SeededDevice, seedSyncs} from './testing/seed.ts';
import {startTestApi, type TestApi} from './testing/test-api.ts';

const PAGE = readFileSync(new URL('../../../docs/api/admin.md', import.meta.url), 'utf8');
const BLOCKS = blocksOf(PAGE);
const CONSOLE = BLOCKS.filter(({language}) => language === 'console');
const FILTERS = BLOCKS.filter(({language, section}) => language === '' && section === 'Filters');

/** When people read the page. */
const NOW = '2026-11-24T02:00:26.557Z';
const AUDIT_KEY = 'the key of this test';

let region: TestShards;
let cache: Cache;
let api: TestApi;
let devices: SeededDevice[];
/** The administrator's of the Secret. */
const bootstrap = randomUUID();

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  devices = [...(await seedDevices(region.shards, 24))];
  for (const device of devices) await seedSyncs(region.shards, device, 1, 1);
  await ensureGroup(region.shards, 'pond');
  for (const shard of region.shards.ids()) {
    await region.shards.pool(shard, 'job').query('update device set revision = 3');
  }
  cache = await openTestCache();
  api = await startTestApi({
    shards: region.shards,
    cache,
    publish: () => Promise.resolve(),
    auditKey: AUDIT_KEY,
    adminToken: bootstrap,
    deviceHost: 'eu.sync.example.com',
    region: 'eu',
    now: () => Date.parse(NOW),
  });
}, 60_000);

afterAll(async () => {
  await api.close();
  await cache.close();
  await region.close();
}, 30_000);

/** As the keeper does it, and as if it had been told when the page says. */
const chain = async (): Promise<void> => {
  for (const shard of region.shards.ids()) {
    const client = await region.shards.pool(shard, 'job').connect();
    const control = await region.shards.control('ingest').connect();
    try {
      await client.query('update audit_outbox set at = $1', [NOW]);
      const rows = await readOutbox(client, 1000);
      await appendToChain(control, {fence: () => Promise.resolve(), key: AUDIT_KEY, shard, rows});
      await clearOutbox(client, rows);
    } finally {
      control.release();
      client.release();
    }
  }
};

/** What the reader has before he begins. */
const isKnown = (command: string): boolean =>
  /^TOKEN=\$\(kubectl get secret eu-bootstrap -o go-template='[^']+'\)$/.test(command);

const successOf = (method: string, path: string): number | undefined => {
  const operation = api.operations.find(
    (one) => one.method === method.toLowerCase() && new RegExp(`^${one.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path),
  );
  return Object.keys(operation?.responses ?? {})
    .map(Number)
    .find((status) => status < 300);
};

/** Of an example before, for each text that is cut short. */
const cutBefore = new Map<string, string>();

const run = async (command: string, shown: string, variables: Readonly<Record<string, string>>): Promise<void> => {
  if (isKnown(command)) return;
  await chain();
  const words = wordsOf(command, variables).map((word) =>
    [...cutBefore].reduce((text, [cut, whole]) => text.replaceAll(cut, () => whole), word),
  );
  const {method, url, headers, body} = curlCallOf(words);
  expect(url.origin).toBe('https://eu.admin.example.com');
  const answer = await api.call(method, url.pathname + url.search, {headers, ...(body === undefined ? {} : {body})});
  expect({command, status: answer.status}).toEqual({command, status: successOf(method, url.pathname)});
  if (shown === '') return;
  const {faults, cut} = compareShown(parseShown(shown), answer.body);
  expect({command, faults}).toEqual({command, faults: []});
  for (const [text, whole] of cut) cutBefore.set(text, whole);
};

test.each(CONSOLE.map((block): [number, string, DocBlock] => [block.line, block.section, block]))(
  'the calls in line %i, of %s, are answered as shown',
  async (_line, _section, {text}) => {
    const examples = examplesIn(text);
    expect(examples).not.toEqual([]);
    const device = devices.pop();
    const variables = {TOKEN: bootstrap, ID: device?.id ?? ''};
    for (const {command, shown} of examples) await run(command, shown, variables);
  },
);

const found = async (query: Readonly<Record<string, string>>): Promise<number> => {
  const path = `/api/v1/devices?${new URLSearchParams(query).toString()}`;
  return (await api.call('GET', path, {headers: {authorization: `Bearer ${bootstrap}`}})).status;
};

test.each(FILTERS.map(({text}) => [text]))('the filter %s can be used', async (filter) => {
  expect(await found({filter})).toBe(200);
});

const CONDITION = /^(?:\w+|tags\.\w+|tags\."[^"]+")(?:==|!=|=(?:in|out|le|ge)=|[<>]=?)[^\s<>]\S*$/;

test.each([...new Set(codeSpansOf(PAGE))].filter((span) => CONDITION.test(span)).map((span) => [span]))(
  'the condition %s can be used beside one that an index finds',
  async (condition) => {
    expect(await found({filter: `status==late;${condition}`})).toBe(200);
  },
);

test.each(
  [...new Set(codeSpansOf(PAGE))].flatMap((span): [string, string, string][] => {
    const [, name, value] = /^(limit|sort|q|fields|count|status|group)=([\w,-]+)$/.exec(span) ?? [];
    return name === undefined || value === undefined ? [] : [[span, name, value]];
  }),
)('the list knows %s', async (_span, name, value) => {
  expect(await found({[name]: value})).toBe(200);
});
