import {expect, test} from '@jest/globals';
import {type KubeObject} from '../kube/object.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

/** How often a pass over a region that is ready looks at a child. Unlike its time, this is the same on every machine. */
const looksOfPass = (shards: number): number => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {shards}}).bringUp();
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
