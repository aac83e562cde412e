import {DEVICE_STATUSES} from '@pisync/core/devices/device-status';
import fc from 'fast-check';

const VALUES = [
  ...DEVICE_STATUSES,
  ...[
    '0',
    '1',
    '99',
    '-1',
    'north',
    'site-oak*',
    'site-oak-0000',
    's-1',
    '""',
    "'x y'",
    '"north & south"',
    '*',
    '"\\u0000"',
  ],
] as const;
const TIMES = [
  ...['-P2D', '-PT30M', 'P1Y', '-P99999999D', '-PT1M1S', '-P1DT', '2026-11-28', '2026-11-28T19:00:00Z'],
  ...['0000-01-01', '0001-01-01T00:00+14:00', '9999-12-31T23:59-14:00', '2026-02-30', 'yesterday'],
] as const;

const one = fc.constantFrom;
const several = fc.array(one(...VALUES), {minLength: 1, maxLength: 4}).map((values) => `(${values.join(',')})`);
const texts = one('id', 'name', 'hardwareId', 'model', 'group', 'status', 'shard', 'tags.site', 'tags."floor plan"');
const joined = (...parts: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((all) => all.join(''));

const condition = fc.oneof(
  joined(texts, one('==', '!='), one(...VALUES)),
  joined(texts, one('=in=', '=out='), several),
  joined(one('revoked', 'decommissioned', 'disputed'), one('==', '!='), one('true', 'false', 'maybe')),
  joined(
    one('lastSync', 'lastSeen', 'enrolledAt', 'statusSince'),
    one('<', '<=', '=le=', '>', '>=', '=ge='),
    one(...TIMES),
  ),
);

/** Filters of devices, of which a shard looks at no more than an index has. A few have a fault. */
export const generatedFilters: fc.Arbitrary<string> = fc.letrec<{filter: string; part: string}>((tie) => ({
  part: fc.oneof(
    {weight: 5, arbitrary: condition},
    {weight: 1, arbitrary: tie('filter').map((filter) => `(${filter})`)},
  ),
  filter: fc.oneof(
    {depthSize: 'small', withCrossShrink: true},
    condition,
    joined(one('status==late', 'group==north', 'name==site*'), one(';', ';', ','), tie('part')),
    joined(tie('part'), one(';', ','), tie('part'), one('', '', ';', ')')),
  ),
})).filter;
