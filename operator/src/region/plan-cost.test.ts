import {expect, test} from '@jest/globals';
import {type KubeObject} from '../kube/object.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

/** How often a pass over a region that was ready looks at a child. Unlike its time, this is the same on every machine. */
const looksOfPass = (shards: number, change: (region: SimulatedRegion) => void = () => undefined): number => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {shards}}).bringUp();
  change(region);
  let looks = 0;
  for (const [key, object] of region.objects) {
    const {metadata} = object;
    const watched: KubeObject = {
      ...object,
      get metadata() {
        looks++;
        return metadata;
      },
    };
    region.objects.set(key, watched);
  }
  region.pass();
  return looks;
};

test('a plan of four times as many shards costs about four times as much', () => {
  const [few, many] = [looksOfPass(12), looksOfPass(48)];
  expect({few, many, isLinear: many <= 5 * few}).toMatchObject({isLinear: true});
});

/** As many as anybody likes: pods of Jobs that have ended, Jobs, and objects of which nothing is known, all with the labels of a tier that lacks pods. */
const crowd =
  (count: number) =>
  (region: SimulatedRegion): void => {
    region.makeReady('Deployment', 0);
    const labels = region.find('Deployment', 'eu-worker')?.metadata.labels ?? {};
    const put = (kind: string, name: string, more: object, controller?: {readonly uid: string}): void => {
      const ownerReferences = controller && [
        {apiVersion: 'batch/v1', kind: 'Job', name: 'any', controller: true, ...controller},
      ];
      const metadata = {
        name,
        namespace: 'sync',
        uid: name,
        resourceVersion: '1',
        labels,
        ...(ownerReferences && {ownerReferences}),
      };
      region.objects.set(`${kind}/${name}`, {apiVersion: 'v1', kind, metadata, ...more});
    };
    for (let index = 0; index < count; index++) {
      put('Pod', `pod-${index}`, {status: {phase: 'Succeeded'}}, {uid: index % 2 === 0 ? `job-${index}` : 'gone'});
      put('Job', `job-${index}`, {
        status: {startTime: '2026-03-01T00:00:00Z', conditions: [{type: 'Complete', status: 'True'}]},
      });
      put('Secret', `secret-${index}`, {});
    }
  };

test('a plan with four times as many pods that have ended, and as much else, costs about four times as much', () => {
  const [few, many] = [looksOfPass(1, crowd(100)), looksOfPass(1, crowd(400))];
  expect({few, many, isLinear: many <= 5 * few}).toMatchObject({isLinear: true});
});
