/** What an engine does when its connections end. */
import {afterAll, afterEach, beforeAll, expect, test} from '@jest/globals';
import {setTimeout as sleep} from 'node:timers/promises';
import {startProxy} from './testing/cuttable-proxy.ts';
import {eventually} from './testing/fixtures.ts';
import {shopPath} from './testing/shop.ts';
import {shelfPath, Shops} from './testing/shops.ts';

let shops: Shops;

beforeAll(async () => {
  shops = await Shops.onAServer();
}, 90_000);

afterEach(() => shops.endEngines(), 30_000);

afterAll(() => shops.stop(), 30_000);

test('sees what happened while its connections were cut, without listing again', async () => {
  const proxy = await startProxy(shops.server.port);
  try {
    const {log} = shops.start('cut', shops.server.credentialsAt(proxy.port));
    await shops.open('west', ['a']);
    await shops.statusBecomes('west', {problems: [], shelves: 1}, log);
    const from = (await shops.server.audit()).length;
    proxy.refuse(true);
    proxy.cut();
    await shops.send('PATCH', shopPath('west'), {spec: {shelves: ['a', 'b']}});
    await shops.send('DELETE', shelfPath('west-a'));
    await sleep(500);
    proxy.refuse(false);
    await shops.statusBecomes('west', {problems: [], shelves: 2}, log);
    await eventually(
      async () => await shops.find(shelfPath('west-a')),
      () => log.lines.slice(-20).join('\n'),
    );
    // The question whether the server went back in time asks for one object.
    const lists = await shops.requestsOf('cut', from, ['list']);
    expect(lists.filter((request) => !/[?&]limit=1(&|$)/.test(request))).toEqual([]);
  } finally {
    await shops.endEngines();
    await proxy.stop();
  }
}, 60_000);

test('an engine whose connections die without a word has others within 20 s, and keeps its lease', async () => {
  const proxy = await startProxy(shops.server.port);
  try {
    const {log} = shops.start('mute', shops.server.credentialsAt(proxy.port));
    await shops.open('silence', ['a']);
    await shops.statusBecomes('silence', {problems: [], shelves: 1}, log);
    proxy.swallow();
    await shops.send('PATCH', shopPath('silence'), {spec: {shelves: ['a', 'b']}});
    await shops.statusBecomes('silence', {problems: [], shelves: 2}, log);
    expect(log.lines.filter((line) => line.includes('no longer leading'))).toEqual([]);
  } finally {
    await shops.endEngines();
    await proxy.stop();
  }
}, 60_000);
