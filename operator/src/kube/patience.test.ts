import {expect, test} from '@jest/globals';
import {patienceWith, type Unseen} from './patience.ts';

const obstacle = (isRefused: boolean, sinceMs: number): Unseen => ({
  label: 'Secret in shop',
  message: 'forbidden',
  isRefused,
  sinceMs,
});
const said = ['Secret in shop is not seen: forbidden'];

test.each([
  ['a refusal has 20 s', [obstacle(true, 1_000)], 6_000, [], 15_000],
  ['a refusal that lasts is said', [obstacle(true, 1_000)], 21_000, said, 120_000],
  ['no answer has 120 s, and may become a refusal any time', [obstacle(false, 1_000)], 6_000, [], 20_000],
  ['no answer for long is looked at when its time is over', [obstacle(false, 1_000)], 116_000, [], 5_000],
  ['no answer that lasts is said', [obstacle(false, 1_000)], 121_000, said, 120_000],
  ['only what has lasted is said', [obstacle(false, 1_000), obstacle(true, 1_000)], 31_000, said, 120_000],
  ['what was in the way before the server could be asked', [obstacle(false, -200_000)], 6_000, [], 20_000],
  ['a refusal from before the server could be asked', [obstacle(true, -200_000)], 6_000, [], 15_000],
])('%s', (_what, obstacles, nowMs, problems, againMs) => {
  expect(patienceWith(obstacles, 1_000, nowMs)).toEqual({problems, againMs});
});
