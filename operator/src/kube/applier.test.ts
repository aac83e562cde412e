import {expect, test} from '@jest/globals';
import {Applier} from './applier.ts';
import {Caches} from './caches.ts';
import {type Desired} from './controller.ts';
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

test('what an admission webhook rewrites is tried again more and more seldom, and put right once the webhook is gone', async () => {
  const clock = new FakeClock();
  let webhook: 'there' | 'gone' = 'there';
  let live: KubeObject | undefined;
  let writes = 0;
  const server = (manifest: Manifest): KubeObject => {
    writes++;
    const text = JSON.stringify(manifest);
    // What was sent, as a webhook that only replaces text passes it on.
    const sent = JSON.parse(webhook === 'there' ? text.replace('web:1', 'mirror/web:1') : text) as Manifest;
    const resourceVersion =
      JSON.stringify(sent) === JSON.stringify({...live, metadata: sent.metadata}) ? '1' : String(writes);
    return {...sent, metadata: {...sent.metadata, uid: 'u', resourceVersion}};
  };
  const applier = new Applier({
    writer: {
      read: () => Promise.resolve(live),
      apply: (manifest) => Promise.resolve((live = server(manifest))),
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
  expect(writes).toBeLessThan(12);
  webhook = 'gone';
  clock.freeze(600_000);
  expect(await apply()).toMatchObject({kind: 'configured', repaired: true});
  expect(JSON.stringify(live)).toContain('"web:1"');
  const written = writes;
  clock.freeze(3_600_000);
  expect(await apply()).toEqual({kind: 'unchanged', repaired: false});
  expect(writes).toBe(written);
});
