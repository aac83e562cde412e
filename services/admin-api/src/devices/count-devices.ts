import type {DeviceCondition} from '@pisync/core/filters/device-condition';
import {countMatching, holdsOfCell} from '@pisync/core/queries/device-count';
import type {Shards} from '@pisync/core/shards/shards';
import {z} from 'zod';
import type {AskShards} from '../paging/fan-out.ts';
import {timestamp} from '../paging/page-schema.ts';
import type {Census} from '../region/census.ts';
import type {Counted} from '../region/summary.ts';

export const countSchema = z.object({
  value: z.int(),
  exact: z.boolean().describe('Whether every device was counted, as of `asOf`.'),
  atLeast: z.boolean().describe('Whether there may be more: the time was up, or a shard did not answer.'),
  asOf: timestamp.describe('When they were counted.'),
});
type DeviceTotal = z.input<typeof countSchema>;

export interface CountDevices {
  readonly shards: Shards;
  readonly askShards: AskShards;
  readonly census: Census;
  readonly now: () => number;
  readonly condition: DeviceCondition;
  /** Shards that may have some. */
  readonly asked: readonly number[];
}

/** So long a shard counts for one call. */
const BUDGET_MS = 250;

/** How many devices fulfil a condition: from the census where that is enough, else counted as far as the time goes. */
export const countDevicesOf = async ({
  shards,
  askShards,
  census,
  now,
  condition,
  asked,
}: CountDevices): Promise<DeviceTotal> => {
  const known = fromCensus(await census.current(), condition, asked);
  if (known !== undefined) return known;
  const asOf = new Date(now()).toISOString();
  const {answers, missing} = await askShards(asked, (shard) =>
    countMatching(shards, {shard, condition, budgetMs: BUDGET_MS, monotonic: () => performance.now()}),
  );
  const exact = missing.length === 0 && answers.every(({value}) => value.isAll);
  return {value: answers.reduce((sum, {value}) => sum + value.value, 0), exact, atLeast: !exact, asOf};
};

/** Undefined where the condition goes by more than the census knows. A shard that did not answer the last one is counted as it was, so that is not exact. */
export const fromCensus = (
  {shards, missing, asOf}: Counted,
  condition: DeviceCondition,
  asked: readonly number[],
): DeviceTotal | undefined => {
  if (holdsOfCell(condition, {shard: -1, groupId: -1, status: ''}) === undefined) return undefined;
  const value = shards
    .filter(({shard}) => asked.includes(shard))
    .flatMap(({shard, counts}) => counts.filter((cell) => holdsOfCell(condition, {shard, ...cell}) === true))
    .reduce((sum, {count}) => sum + count, 0);
  const isKnown = asked.every((shard) => shards.some((one) => one.shard === shard));
  return {value, exact: isKnown && !asked.some((shard) => missing.includes(shard)), atLeast: !isKnown, asOf};
};
