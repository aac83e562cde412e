import {expect, test} from '@jest/globals';
import {Applier} from './applier.ts';
import {Caches} from './caches.ts';
import {type Desired} from './controller.ts';
import {ApiError} from './errors.ts';
import {type KubeObject, type Manifest, type ObjectRef} from './object.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {forever, identity, testMetrics} from './testing/fixtures.ts';

const owner: ObjectRef = {apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'corner', uid: 'one'};

const desired: Desired = {
  manifest: {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {name: 'web', namespace: 'default'},
    spec: {template: {spec: {containers: [{name: 'web', image: 'web:1'}]}}},
  },
};

/** An applier, and a server with an admission webhook that rewrites the image and a policy that allows everything. */
const scene = () => {
  const clock = new FakeClock();
  const server = {live: undefined as KubeObject | undefined, webhook: true, deny: false, writes: 0};
  const write = (manifest: Manifest): KubeObject => {
    if (server.deny) throw new ApiError('no', {status: 422, reason: 'Invalid', said: 'nothing may be changed now'});
    server.writes++;
    const text = JSON.stringify(manifest);
    // What was sent, as a webhook that only replaces text passes it on.
    const sent = JSON.parse(server.webhook ? text.replace('web:1', 'mirror/web:1') : text) as Manifest;
    const isSame = JSON.stringify(sent) === JSON.stringify({...server.live, metadata: sent.metadata});
    const resourceVersion = isSame ? '1' : String(server.writes);
    return (server.live = {...sent, metadata: {...sent.metadata, uid: 'u', resourceVersion}});
  };
  const applier = new Applier({
    writer: {
      read: () => Promise.resolve(server.live),
      // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is to be a rejection
      apply: async (manifest) => write(manifest),
      fill: (_, object) => Promise.resolve(object),
      create: () => Promise.resolve(),
      claim: () => Promise.resolve(),
      delete: () => Promise.resolve('gone'),
    },
    caches: new Caches([], [], () => undefined),
    clock,
    identity,
    metrics: testMetrics(),
  });
  return {clock, server, applier};
};

test('what an admission webhook rewrites is tried again more and more seldom, and put right once the webhook is gone', async () => {
  const {clock, server, applier} = scene();
  const apply = () => applier.apply(desired, owner, forever);
  expect(await apply()).toMatchObject({
    kind: 'created',
    rewritten: {fields: ['spec.template.spec.containers[0].image'], againMs: 30_000},
  });
  for (let pass = 0; pass < 100; pass++) {
    const {repaired, rewritten} = await apply();
    expect(repaired).toBe(false);
    // Also while nothing is sent.
    expect(rewritten?.fields).toHaveLength(1);
    clock.freeze(36_000);
  }
  // An hour: after 30 s, 1, 2, 4, 8 minutes and then every 10.
  expect(server.writes).toBeLessThan(12);
  server.webhook = false;
  clock.freeze(600_000);
  expect(await apply()).toMatchObject({kind: 'configured', repaired: true});
  expect(JSON.stringify(server.live)).toContain('"web:1"');
  const written = server.writes;
  clock.freeze(3_600_000);
  expect(await apply()).toEqual({kind: 'unchanged', repaired: false});
  expect(server.writes).toBe(written);
});

/** Somebody changes a field that we want otherwise. */
const disturb = (server: ReturnType<typeof scene>['server']): void => {
  const {live} = server;
  if (live === undefined) return;
  const template = {spec: {containers: [{name: 'web', image: `by-hand:${server.writes}`}]}};
  server.live = {...live, spec: {template}, metadata: {...live.metadata, resourceVersion: `0${server.writes}`}};
};

test('where a webhook rewrites it, too, whoever changes it as often as it is put right is given in to', async () => {
  const {server, applier} = scene();
  await applier.apply(desired, owner, forever);
  for (let round = 0; round < 20; round++) {
    disturb(server);
    expect(await applier.apply(desired, owner, forever)).toMatchObject({repaired: true});
  }
  disturb(server);
  await expect(applier.apply(desired, owner, forever)).rejects.toMatchObject({kind: 'contested'});
});

test('what the server does not let us put right stays refused, however often it is tried', async () => {
  const {clock, server, applier} = scene();
  server.webhook = false;
  await applier.apply(desired, owner, forever);
  disturb(server);
  server.deny = true;
  for (let round = 0; round < 100; round++) {
    await expect(applier.apply(desired, owner, forever)).rejects.toMatchObject({
      kind: 'refused',
      message: 'Deployment default/web: nothing may be changed now',
    });
    clock.freeze(20_000);
  }
  server.deny = false;
  expect(await applier.apply(desired, owner, forever)).toMatchObject({repaired: true});
});
