import {expect, test} from '@jest/globals';
import {callNumber, KINDS} from './kinds.ts';
import {type Api, targetOf} from './targets.ts';

const LOOT = {devices: [{deviceId: '11111111-1111-5111-8111-111111111111', secret: 'A'.repeat(43)}], tokens: ['token']};
const APIS: readonly Api[] = ['device-api', 'admin-api'];

test.each(APIS)('a seed makes the same calls to %s each time', (api) => {
  const target = targetOf(api, 'x', LOOT);
  for (const number of [0, 1, 17, 599]) {
    expect(callNumber(7, number, api, target)).toEqual(callNumber(7, number, api, target));
  }
  expect(callNumber(7, 1, api, target)).not.toEqual(callNumber(8, 1, api, target));
});

test.each(APIS)('a few hundred calls to %s are of all kinds', (api) => {
  const target = targetOf(api, 'x', LOOT);
  const seen = new Set(Array.from({length: 600}, (_, number) => callNumber(1, number, api, target).kind));
  expect([...seen].toSorted()).toEqual(KINDS[api].map(({name}) => name).toSorted());
});
