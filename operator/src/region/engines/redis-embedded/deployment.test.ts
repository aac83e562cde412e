import {expect, test} from '@jest/globals';
import {SimulatedRegion} from '../../testing/simulated-region.ts';

test.each([
  ['by default', {}, 128],
  ['for a million devices, as far as there is room', {capacity: {devices: 1_000_000}}, 192],
  ['for 300,000 devices', {capacity: {devices: 300_000}, redis: {resources: {limits: {memory: '1Gi'}}}}, 256],
  ['for a million devices', {capacity: {devices: 1_000_000}, redis: {resources: {limits: {memory: '2Gi'}}}}, 1024],
  ['in a small pod', {redis: {resources: {limits: {memory: '100Mi'}}}}, 75],
  ['of your own', {redis: {maxMemory: '200Mi'}}, 200],
])('the cache has its memory %s', (_what, spec, mebibytes) => {
  const region = new SimulatedRegion({region: 'eu-west', ...spec});
  region.settle();
  expect(JSON.stringify(region.find('ConfigMap', 'eu-redis')?.['data'])).toContain(
    `maxmemory ${mebibytes * 1024 ** 2}\\n`,
  );
});
