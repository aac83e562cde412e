/** An admission webhook may say no with the status that the API server has for an object that has changed meanwhile, or for one that is gone. */
import {afterAll, afterEach, beforeAll, expect, test} from '@jest/globals';
import {isDenied, Wait} from './errors.ts';
import {eventually} from './testing/fixtures.ts';
import {shopController, shopPath} from './testing/shop.ts';
import {shelfPath, Shops} from './testing/shops.ts';
import {startWebhook, type Webhook} from './testing/webhook.ts';

let shops: Shops;
let webhook: Webhook;
const answer = {code: 409, reason: 'Conflict', message: 'in use by a backup'};

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';

/** Has the webhook asked about these, and waits until it is: `probe` is then denied. */
const deny = async (
  operation: 'UPDATE' | 'DELETE',
  apiGroup: string,
  resource: string,
  probe: () => Promise<void>,
): Promise<void> => {
  const rule = {apiGroups: [apiGroup], apiVersions: ['v1'], operations: [operation], resources: [resource]};
  const {clientConfig} = webhook;
  await shops.send('POST', CONFIGURATIONS, {
    metadata: {name: 'backup'},
    webhooks: [
      {name: 'backup.example.org', clientConfig, rules: [rule], sideEffects: 'None', admissionReviewVersions: ['v1']},
    ],
  });
  await eventually(
    () =>
      probe()
        .then(() => undefined)
        .catch((error: unknown) => (isDenied(error) ? true : undefined)),
    () => 'the webhook is not asked',
  );
};

beforeAll(async () => {
  shops = await Shops.onAServer();
  webhook = await startWebhook(answer);
}, 90_000);

afterEach(async () => {
  await shops.endEngines();
  await shops.send('DELETE', `${CONFIGURATIONS}/backup`).catch(() => undefined);
}, 30_000);

afterAll(async () => {
  await shops.stop();
  await webhook.stop();
}, 30_000);

/** The last status as soon as it has such a problem. */
const problemOf = (name: string, expected: string, lines: readonly string[]): Promise<string> =>
  eventually(
    async () => {
      const status = (await shops.find(shopPath(name)))?.['status'] as {readonly problems?: string[]} | undefined;
      return status?.problems?.find((problem) => problem.includes(expected));
    },
    () => lines.slice(-20).join('\n'),
  );

const controller = {
  ...shopController(),
  failedStatus: (_shop: unknown, problem: string) => ({shelves: -1, problems: [problem]}),
};

const ANSWERS = [
  {code: 409, reason: 'Conflict'},
  // Of a look-up of its own, for example.
  {code: 404, reason: 'NotFound'},
  // Any other that comes to its mind.
  {code: 500, reason: 'InternalError'},
];

test.each(ANSWERS)(
  'a resource that it lets nobody change says so, and is tried again less often: $code',
  async (no) => {
    Object.assign(answer, no);
    const name = `closed-${no.code}`;
    await shops.open(name, ['a']);
    await deny('UPDATE', 'example.org', 'shops', () =>
      shops.send('PATCH', shopPath(name), {metadata: {labels: {a: 'b'}}}),
    );
    const {log} = shops.start('denied', shops.server.credentials, {controller});
    expect(await problemOf(name, 'in use by a backup', log.lines)).toContain('denied the request');
    await eventually(
      () => (log.lines.some((line) => /^pass failed .*"delayMs":\d{3,}.*in use by/.test(line)) ? true : undefined),
      () => log.lines.slice(-20).join('\n'),
    );
  },
);

test.each(ANSWERS)(
  'an object that it does not let go is told as refused, and not taken for gone: $code',
  async (no) => {
    Object.assign(answer, no);
    const name = `stocked-${no.code}`;
    const {log} = shops.start('keeping');
    await shops.open(name, ['a', 'b']);
    await shops.statusBecomes(name, {problems: [], shelves: 2}, log);
    await deny('DELETE', '', 'configmaps', () => shops.send('DELETE', `${shelfPath(`${name}-b`)}?dryRun=All`));
    await shops.send('PATCH', shopPath(name), {spec: {shelves: ['a']}});
    expect(await problemOf(name, 'in use by a backup', log.lines)).toContain(`ConfigMap default/${name}-b`);
    expect(await shops.find(shelfPath(`${name}-b`))).toBeDefined();
  },
);

test('a resource whose passes end in a wait again and again says so', async () => {
  const observe = () => Promise.reject(new Wait('the till is open', 20));
  const {log} = shops.start('waiting', shops.server.credentials, {controller: {...controller, observe}});
  await shops.open('patient', ['a']);
  expect(await problemOf('patient', 'the till is open', log.lines)).toBe('again and again: the till is open');
  // It is in the log a moment after the status.
  const told = (): number => log.lines.filter((line) => /^waits again and again .*patient/.test(line)).length;
  expect(
    await eventually(
      () => told() || undefined,
      () => log.lines.slice(-20).join('\n'),
    ),
  ).toBe(1);
});
