import {afterAll, afterEach, beforeAll, describe, expect, test} from '@jest/globals';
import {setTimeout as sleep} from 'node:timers/promises';
import {type KubeObject} from './object.ts';
import {eventually, identity} from './testing/fixtures.ts';
import {SHOP, shopPath} from './testing/shop.ts';
import {shelfPath, Shops} from './testing/shops.ts';

let shops: Shops;

beforeAll(async () => {
  shops = await Shops.onAServer();
}, 90_000);

afterEach(() => shops.endEngines(), 30_000);

afterAll(() => shops.stop(), 30_000);

const WRITES = ['create', 'update', 'patch', 'delete'];

describe('an engine', () => {
  test('makes what a resource wants, repairs it, prunes it, and cleans up after it', async () => {
    const {log, engine} = shops.start('whole');
    await shops.open('north', ['a', 'b']);
    await shops.statusBecomes('north', {problems: [], shelves: 2}, log);
    expect(engine.ready()).toEqual({ok: true});
    expect(engine.live()).toEqual({ok: true});
    expect((await shops.find('/apis/apps/v1/namespaces/default/deployments/north-till'))?.['spec']).toMatchObject({
      replicas: 2,
    });

    await shops.send('DELETE', shelfPath('north-a'));
    await shops.send('PATCH', shelfPath('north-b'), {data: {on: 'fire'}});
    await eventually(
      async () => {
        const [a, b] = [await shops.find(shelfPath('north-a')), await shops.find(shelfPath('north-b'))];
        return a !== undefined && JSON.stringify(b?.['data']) === '{"on":"north-b"}' ? true : undefined;
      },
      () => log.lines.slice(-20).join('\n'),
    );
    await shops.send('PATCH', shopPath('north'), {spec: {shelves: ['b']}});
    await shops.statusBecomes('north', {problems: [], shelves: 1}, log);
    expect(await shops.find(shelfPath('north-a'))).toBeUndefined();

    await shops.send('DELETE', shopPath('north'));
    await eventually(
      async () => ((await shops.find(shopPath('north'))) === undefined ? true : undefined),
      () => log.lines.slice(-20).join('\n'),
    );
    expect(await shops.find(shelfPath('north-b'))).toBeUndefined();
  }, 60_000);

  test('at rest sends no write and no list; a restart writes nothing either', async () => {
    const first = shops.start('resting');
    await shops.open('calm', ['a', 'b', 'c']);
    await shops.statusBecomes('calm', {problems: [], shelves: 3}, first.log);
    await sleep(500);
    const from = (await shops.server.audit()).length;
    await sleep(3_000);
    expect(await shops.requestsOf('resting', from, [...WRITES, 'list'])).toEqual([]);
    first.stop.abort();
    await first.ended;
    const second = shops.start('restarted');
    await eventually(
      () => (second.log.lines.filter((line) => line.startsWith('pass ')).length > 0 ? true : undefined),
      () => second.log.lines.join('\n'),
    );
    await sleep(500);
    expect(await shops.requestsOf('restarted', from, WRITES)).toEqual([]);
  }, 60_000);

  test('says in the status of the same pass what is in the way, and goes on with the rest', async () => {
    const {log} = shops.start('conflicted');
    await shops.send('POST', '/api/v1/namespaces/default/configmaps', {
      metadata: {name: 'south-a'},
      data: {theirs: 'yes'},
    });
    await shops.open('south', ['a', 'b']);
    const path = shopPath('south');
    const status = await eventually(
      async () => (await shops.find(path))?.['status'] as {problems: string[]} | undefined,
      () => log.lines.join('\n'),
    );
    expect(status.problems).toEqual([expect.stringContaining('ConfigMap default/south-a: exists')]);
    expect((await shops.find(shelfPath('south-b')))?.['data']).toEqual({on: 'south-b'});
    expect((await shops.find(shelfPath('south-a')))?.['data']).toEqual({theirs: 'yes'});
  }, 60_000);

  test('is held up by no object, whatever fields somebody says he owns of it', async () => {
    let fields: object = {};
    for (let depth = 0; depth < 4_000; depth++) fields = {'f:a': fields};
    const byMany = (name: string) => ({
      name,
      labels: {'app.kubernetes.io/managed-by': identity.manager},
      annotations: {[identity.appliedAnnotation]: 'x'},
      managedFields: [
        {manager: 'deep', fieldsV1: {'f:spec': fields, 'f:data': fields}},
        ...Array.from({length: 4_000}, (_, index) => ({
          manager: `m${index}`,
          fieldsV1: {'f:data': {[`f:k${index}`]: {}}},
        })),
      ].map((entry) => ({...entry, operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1'})),
    });
    await shops.send('POST', '/api/v1/namespaces/default/configmaps', {metadata: byMany('deep')});
    await shops.send('POST', shopPath(), {...SHOP, metadata: byMany('deep')});
    const stored = (await shops.find(shelfPath('deep')))?.metadata as {readonly managedFields?: readonly object[]};
    expect(stored.managedFields?.length).toBeGreaterThan(4_000);
    const {log} = shops.start('steady');
    await shops.open('west', ['a']);
    await shops.statusBecomes('west', {problems: [], shelves: 1}, log);
    await shops.statusBecomes('deep', {problems: [], shelves: 0}, log);
    await shops.send('DELETE', shelfPath('deep'));
    await shops.send('DELETE', shopPath('deep'));
  }, 60_000);

  test('tells statuses for metrics, and takes them back when it leads no more', async () => {
    const {told, log, stop, ended} = shops.start('exporter');
    await shops.open('told', ['a']);
    await shops.statusBecomes('told', {problems: [], shelves: 1}, log);
    await eventually(
      () => (told.get('told') === undefined ? undefined : true),
      () => log.lines.join('\n'),
    );
    expect(told.get('told')).toEqual({problems: [], shelves: 1});
    stop.abort();
    await ended;
    expect([...told.values()].filter((status) => status !== undefined)).toEqual([]);
  }, 60_000);

  test('counts a repeated event in a series', async () => {
    const {log} = shops.start('telling');
    await shops.open('east', ['a']);
    await shops.statusBecomes('east', {problems: [], shelves: 1}, log);
    for (let time = 0; time < 2; time++) {
      await shops.send('PATCH', shelfPath('east-a'), {data: {on: 'fire'}});
      await eventually(
        async () =>
          JSON.stringify((await shops.find(shelfPath('east-a')))?.['data']) === '{"on":"east-a"}' ? true : undefined,
        () => log.lines.join('\n'),
      );
      // The pass that follows a repair reports nothing: only then is the next repair a new event.
      await sleep(300);
    }
    const events = await eventually(
      async () => {
        const list = (await shops.find('/apis/events.k8s.io/v1/namespaces/default/events')) as unknown as {
          items: KubeObject[];
        };
        const ours = list.items.filter((event) => (event['regarding'] as {name: string}).name === 'east');
        return ours.some((event) => event['series'] !== undefined) ? ours : undefined;
      },
      () => log.lines.join('\n'),
    );
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({reason: 'Repaired', note: 'ConfigMap east-a', series: {count: 2}});
  }, 60_000);
});

describe('two engines', () => {
  test('only one works; the other takes over at once when the first one stops', async () => {
    const first = shops.start('alpha');
    await eventually(
      () => (first.engine.isLeader() ? true : undefined),
      () => first.log.lines.join('\n'),
    );
    const second = shops.start('beta');
    await eventually(
      () => (second.engine.ready().ok ? true : undefined),
      () => second.log.lines.join('\n'),
    );
    const from = (await shops.server.audit()).length;
    await shops.open('shared', ['a']);
    await shops.statusBecomes('shared', {problems: [], shelves: 1}, first.log);
    expect(await shops.requestsOf('beta', from, WRITES)).toEqual([]);
    first.stop.abort();
    await first.ended;
    await shops.send('PATCH', shopPath('shared'), {spec: {shelves: []}});
    await shops.statusBecomes('shared', {problems: [], shelves: 0}, second.log);
  }, 60_000);
});
