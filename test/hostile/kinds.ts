import {callOf, type HostileCall, type HostileKind, type Target} from './hostile-call.ts';
import {ASKING} from './kinds/asking.ts';
import {CODINGS} from './kinds/codings.ts';
import {FRAMING} from './kinds/framing.ts';
import {SIZES} from './kinds/sizes.ts';
import {SLOW} from './kinds/slow.ts';
import {createRandom} from './random.ts';
import type {Api} from './targets.ts';

const OF_BOTH = [...FRAMING, ...CODINGS, ...SLOW, ...SIZES];

export const KINDS: Readonly<Record<Api, readonly HostileKind[]>> = {
  'device-api': OF_BOTH,
  'admin-api': [...OF_BOTH, ...ASKING],
};

/** Of so many calls of a seed, each by itself. */
const CALLS_A_SEED = 1_000_003;

/** The call of this number, which is always the same one. */
export const callNumber = (seed: number, number: number, api: Api, target: Target): HostileCall => {
  const random = createRandom(seed * CALLS_A_SEED + number);
  return callOf(random.pick(KINDS[api]), random, target);
};
