import {describe, expect, test} from '@jest/globals';
import {type Change, chanceApart, changeOf, cpuSum, MEASURES, processesOf, runsOf, valuesOf} from './summary.ts';
import {madeUpReport} from './testing/made-up-report.ts';

describe('a change between two sides', () => {
  test.each<[string, readonly number[], readonly number[], Change]>([
    ['is apart when every round is lower', [10, 12, 11], [8, 5, 9], {kind: 'apart', percent: (100 * (8 - 11)) / 11}],
    ['is apart when every round is higher', [10, 12, 11], [22, 13, 30], {kind: 'apart', percent: 100}],
    [
      'is within the spread when one round overlaps',
      [10, 12, 11],
      [8, 5, 10.5],
      {kind: 'within spread', percent: (100 * (8 - 11)) / 11},
    ],
    ['is within the spread when rounds touch', [10, 12], [12, 13], {kind: 'within spread', percent: (100 * 1.5) / 11}],
    ['says when there is one round only', [10], [20], {kind: 'one round', percent: 100}],
    ['has no percentage of nothing', [0, 0, 0], [2, 3, 4], {kind: 'apart', percent: undefined}],
    ['is none when all rounds are equal', [3, 3], [3, 3], {kind: 'same'}],
    ['is none of what one side lacks', [], [3, 3], {kind: 'not measured'}],
  ])('%s', (_, before, now, expected) => {
    expect(changeOf(before, now)).toEqual(expected);
  });

  test.each([
    [2, 1 / 3],
    [3, 1 / 10],
    [5, 1 / 126],
  ])('of equal sides with %d rounds looks real as often as the order of the values says', (rounds, chance) => {
    expect(chanceApart(rounds)).toBeCloseTo(chance, 12);
  });
});

describe('the figures of a scenario', () => {
  const report = madeUpReport();
  const [run] = runsOf(report, 'now', '333-fixed');
  if (run === undefined) throw new Error('nothing was made up');

  test('come from the runs of one side and scenario, round by round', () => {
    const shuffled = {...report, runs: report.runs.toReversed()};
    const runs = runsOf(shuffled, 'before', '333-fixed');
    expect(runs.map(({side, scenario, round}) => [side, scenario, round])).toEqual([
      ['before', '333-fixed', 0],
      ['before', '333-fixed', 1],
      ['before', '333-fixed', 2],
    ]);
  });

  test('leave out what a run did not measure, and what is no number', () => {
    const none = {count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0};
    const nothing = {
      ...run,
      duePerSecond: null,
      done: 0,
      seconds: 0,
      accept: none,
      applied: none,
      visible: null,
      pods: [],
    };
    const found = MEASURES.map(({name, pick}) => [name, valuesOf([nothing], pick)]);
    expect(Object.fromEntries(found)).toMatchObject({
      due: [],
      done: [],
      'accept p50': [],
      'accept p99': [],
      'applied p99': [],
      'visible p99': [],
      failed: [run.failed],
      worker: [],
    });
  });

  test('count what was done by the second, and the pods of the last look', () => {
    const one = {
      ...run,
      done: 900,
      seconds: 45,
      pods: [
        {second: 0, deviceApi: 1, worker: 1},
        {second: 9, deviceApi: 4, worker: 2},
      ],
    };
    const of = (name: string) => valuesOf([one], MEASURES.find((measure) => measure.name === name)?.pick ?? (() => -1));
    expect([of('done'), of('device-api'), of('worker')]).toEqual([[20], [4], [2]]);
  });

  test('keep what is not of the region out of the processor time of the region', () => {
    const one = {...run, cpuMicros: {zebra: 1, worker: 20, load: 1000, other: 5000, 'device-api': 300}};
    expect(cpuSum(one)).toBe(321);
    expect(processesOf([one])).toEqual(['device-api', 'worker', 'zebra']);
  });
});
