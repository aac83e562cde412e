import {expect, test} from '@jest/globals';
import {decodeRegion} from './region.ts';
import {failedStatus} from './status.ts';
import {SimulatedRegion, UID} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';

/** The pass ended in an error. */
const fail = (region: SimulatedRegion, problem: string): void => {
  region.now = new Date(region.now.getTime() + 1_000);
  const object = {
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: 'eu', namespace: 'sync', uid: UID, resourceVersion: '1', generation: region.generation},
    spec: region.spec,
    status: region.status,
  };
  const before = region.status;
  region.status = failedStatus(decodeRegion(object), problem, region.now);
  expect(brokenLaws(region.status, region.generation, before)).toEqual([]);
};

const ready = ({status}: SimulatedRegion) => status.conditions?.find(({type}) => type === 'Ready');

test('a region whose passes fail is not ready for its last change, and is again when they do not', () => {
  const region = new SimulatedRegion({region: 'eu-west'}).bringUp();
  const {shards} = region.status;
  region.change({workers: {logLevel: 'debug'}});
  fail(region, `not a quantity: ${'x'.repeat(40_000)}`);
  expect(region.status).toMatchObject({phase: 'Degraded', observedGeneration: 1, shards});
  expect(ready(region)).toMatchObject({status: 'Unknown', reason: 'PassFailed', observedGeneration: 1});
  expect(ready(region)?.message).toMatch(/^the operator could not look after the region.*not a quantity: x+\.\.\.$/);
  const said = region.status;
  fail(region, `not a quantity: ${'x'.repeat(40_000)}`);
  expect(region.status).toEqual(said);
  region.settle();
  region.makeReady('Deployment');
  region.settle();
  expect(region.status).toMatchObject({phase: 'Ready', observedGeneration: 2});
  expect(ready(region)?.status).toBe('True');
});

test('a region whose first pass fails has seen no generation', () => {
  const region = new SimulatedRegion({region: 'eu-west'});
  fail(region, 'bug');
  expect(region.status).toMatchObject({phase: 'Pending'});
  expect(region.status).not.toHaveProperty('observedGeneration');
  expect(ready(region)).not.toHaveProperty('observedGeneration');
});
