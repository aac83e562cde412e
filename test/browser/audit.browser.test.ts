/** The audit as an auditor reads and checks it, with an API of the test's own; needs a browser and no cluster. */
import {describe, expect, test} from '@jest/globals';
import type {Page} from 'playwright-core';
import type {MockApi} from './dashboard.ts';
import {ANN, AT, idOf, list, region} from './mock-region.ts';
import {useDashboard} from './use-dashboard.ts';
import {violationsOf} from './violations.ts';

const show = useDashboard();

const entry = (index: number, over: object = {}) => ({
  id: idOf(index),
  state: 'chained',
  seq: index,
  at: AT,
  actor: 'bob',
  actorTokenId: null,
  role: 'operator',
  action: 'device.request-sync',
  objectKind: 'device',
  objectId: idOf(100 + index),
  groups: ['north'],
  before: null,
  after: {syncType: 'full', priority: 'high'},
  requestId: null,
  address: '192.0.2.7',
  shard: 0,
  counter: index,
  mac: null,
  ...over,
});

const ENTRIES = [
  entry(4, {state: 'pending', seq: null, action: 'session.begin', objectKind: 'session', groups: null, after: null}),
  entry(3, {
    action: 'api-token.revoke',
    objectKind: 'api-token',
    before: {name: 'night shift', role: 'viewer'},
    after: null,
  }),
  entry(2),
  entry(1, {action: 'device.paint', before: {name: 'old'}, after: {name: 'new'}}),
];

const part = (over: object) => ({
  body: {
    checked: null,
    findings: [],
    moreFindings: false,
    head: '0:00',
    nextCursor: null,
    pending: 0,
    unchecked: [],
    ...over,
  },
});
const WHOLE = [
  part({checked: {fromSeq: 1, toSeq: 2000}, nextCursor: 'next', pending: null}),
  part({checked: {fromSeq: 2001, toSeq: 3204}, pending: 1}),
];
const BROKEN = [
  part({
    checked: {fromSeq: 1, toSeq: 3},
    findings: [{kind: 'changed', detail: 'Row 2 of the chain: not what was signed.'}],
    pending: 1,
    unchecked: ['shard-1'],
  }),
];

/** A region in which a check answers these, call by call. */
const audited =
  (checks: readonly object[] = WHOLE, over: MockApi = () => undefined): MockApi =>
  (method, url, headers) => {
    const answer = over(method, url, headers);
    if (answer !== undefined) return answer;
    if (url.pathname === '/api/v1/audit/verify') {
      const index = url.searchParams.get('cursor') === 'next' ? 1 : 0;
      return checks[index] as ReturnType<typeof part>;
    }
    if (url.pathname !== '/api/v1/audit') return region()(method, url, headers);
    const actor = url.searchParams.get('actor');
    return list(ENTRIES.filter((one) => actor === null || one.actor === actor));
  };

const result = (shown: Page) => shown.getByTestId('audit-check-result');
const rows = (shown: Page) => shown.getByTestId('audit-entries').locator('tbody tr');

const check = async (shown: Page, words: string): Promise<void> => {
  await shown.getByRole('button', {name: 'Check the audit'}).click();
  await result(shown).getByText(words).waitFor();
};

describe.each(['light', 'dark'] as const)('in the %s theme axe finds nothing', (colorScheme) => {
  test.each([
    ['on the list', WHOLE, undefined],
    ['on an audit that is whole', WHOLE, 'It is whole.'],
    ['on one that is not', BROKEN, 'It is not whole.'],
  ] as const)('%s', async (_what, checks, words) => {
    const {shown} = await show(audited(checks), '/audit', {colorScheme});
    await rows(shown).first().waitFor();
    if (words !== undefined) await check(shown, words);
    expect(await violationsOf(shown)).toEqual([]);
    await shown.setViewportSize({width: 390, height: 844});
    expect(await violationsOf(shown)).toEqual([]);
    expect(await shown.evaluate('document.documentElement.scrollWidth')).toBe(390);
  });
});

test('says who did what to what, and what is not chained yet', async () => {
  const {shown} = await show(audited(), '/audit');
  await rows(shown).first().waitFor();
  const texts = await rows(shown).allInnerTexts();
  expect(texts).toHaveLength(4);
  for (const words of ['bob', 'signed in', 'pending', 'region']) expect(texts[0]).toContain(words);
  for (const words of ['revoked an API token', 'name "night shift"', '3']) expect(texts[1]).toContain(words);
  for (const words of ['asked for a sync', 'north', 'from 192.0.2.7']) expect(texts[2]).toContain(words);
  for (const words of ['device.paint', '"old" → "new"']) expect(texts[3]).toContain(words);
});

test('what is looked for stands in the address, and goes to the API and into the download', async () => {
  const {shown, calls} = await show(audited(), '/audit');
  await rows(shown).first().waitFor();
  await shown.getByLabel('Who', {exact: true}).fill('nobody');
  await shown.getByRole('combobox', {name: 'Did'}).selectOption('made an API token');
  await shown.keyboard.press('Tab');
  await shown.getByRole('button', {name: 'Show', exact: true}).click();
  await shown.getByText('Nobody did anything like that').waitFor();
  expect(shown.url()).toMatch(/\/audit\?actor=nobody&action=api-token\.create$/);
  expect(calls.filter((call) => call.includes('/audit?')).at(-1)).toContain('actor=nobody&action=api-token.create');
  expect(await shown.getByRole('link', {name: 'Download CSV'}).getAttribute('href')).toBe(
    '/api/v1/audit/export?actor=nobody&action=api-token.create&format=csv',
  );
  await shown.goBack();
  await rows(shown).first().waitFor();
  expect(await shown.getByLabel('Who', {exact: true}).inputValue()).toBe('');
});

test('says which shards did not answer, beside what the others have', async () => {
  const over: MockApi = (_method, url) =>
    url.pathname === '/api/v1/audit' ? list(ENTRIES, {partial: ['shard-1']}) : undefined;
  const {shown} = await show(audited(WHOLE, over), '/audit');
  await shown.getByText('shard-1 did not answer: what was done there just now is missing.').waitFor();
  expect(await rows(shown).count()).toBe(4);
});

test('a check goes to the end and says in words what it found', async () => {
  const whole = await show(audited(), '/audit');
  await check(whole.shown, 'It is whole.');
  expect(await result(whole.shown).innerText()).toContain(
    '3,204 entries of the chain are as signed, and 1 entry waits',
  );
  expect(whole.calls.filter((call) => call.includes('/verify'))).toEqual([
    'GET /api/v1/audit/verify',
    'GET /api/v1/audit/verify?cursor=next',
  ]);
  const broken = await show(audited(BROKEN), '/audit');
  const head = `7:${'ab'.repeat(32)}`;
  await broken.shown.getByLabel('Head from the keeper’s log').fill(head);
  await check(broken.shown, 'It is not whole.');
  const words = await result(broken.shown).innerText();
  expect(words).toContain('Row 2 of the chain: not what was signed.');
  expect(words).toContain('shard-1 did not say what was written there');
  expect(broken.calls.filter((call) => call.includes('/verify'))).toEqual([
    `GET /api/v1/audit/verify?head=${encodeURIComponent(head)}`,
  ]);
});

test('a check that fails says so, and can be begun again', async () => {
  let fails = true;
  const over: MockApi = (_method, url) =>
    fails && url.pathname.endsWith('/verify')
      ? {status: 403, body: {title: 'No', status: 403, detail: 'Not now.'}}
      : undefined;
  const {shown} = await show(audited(WHOLE, over), '/audit');
  await shown.getByRole('button', {name: 'Check the audit'}).click();
  await shown.getByText('The check did not come to its end').waitFor();
  fails = false;
  await check(shown, 'It is whole.');
});

test.each([
  ['viewer', null, 'The audit is for administrators and auditors'],
  ['auditor', ['north'], 'What people did'],
] as const)('%s of the groups %j', async (role, groups, words) => {
  const over: MockApi = (_method, url) =>
    url.pathname.endsWith('/session') ? {body: {...ANN, role, groups}} : undefined;
  const {shown} = await show(audited(WHOLE, over), '/audit');
  await shown.getByText(words).first().waitFor();
  const link = shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Audit'});
  expect(await link.count()).toBe(role === 'viewer' ? 0 : 1);
  // It is checked as a whole.
  expect(await shown.getByRole('button', {name: 'Check the audit'}).count()).toBe(0);
});
