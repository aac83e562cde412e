import {describe, expect, test} from '@jest/globals';
import {FACTS_KEY, type Facts, MOST_REASON} from '@pisync/contract/facts';
import {FakeClock} from '../kube/testing/fake-clock.ts';
import {Children} from './children.ts';
import {FACTS_LAST_MS, FactsAges} from './facts.ts';
import {decodeRegion} from './region.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com'}};
const fresh = (more: Partial<Facts> = {}): Facts => ({checkedAt: '2026-03-01T12:00:00Z', shards: [], ...more});
const refused = {ok: false, reason: 'said the server'};

const condition = (region: SimulatedRegion, type: string) =>
  region.status.conditions?.find((candidate) => candidate.type === type);

describe('what the keeper has tried', () => {
  test.each<[string, Facts, string, string, string]>([
    [
      'a shard',
      fresh({
        shards: [
          {id: 0, write: {ok: true}},
          {id: 1, write: refused},
        ],
      }),
      'DatabaseReady',
      'WriteFailed',
      '2/2 shards ready, but shard 1 takes no writes: said the server',
    ],
    [
      'the broker',
      fresh({broker: refused}),
      'BrokerReady',
      'PublishFailed',
      '1/1 broker nodes ready, but the broker takes no messages: said the server',
    ],
    [
      'the cache',
      fresh({cache: refused}),
      'CacheReady',
      'WriteFailed',
      '1/1 caches ready, but it takes no keys: said the server',
    ],
  ])('counts more than its pods: %s', (_what, facts, type, reason, message) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.facts = facts;
    region.pass();
    expect(condition(region, type)).toMatchObject({status: 'False', reason, message});
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason, message});
    expect(region.status.phase).toBe('Degraded');
    region.facts = fresh();
    region.pass();
    expect(region.status.phase).toBe('Ready');
  });

  test('while a tier restarts for a change is tried again before it counts', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({redis: {maxMemory: '100Mi'}});
    region.settle();
    region.set('Deployment', 'eu-redis', {observedGeneration: 1_000, replicas: 1});
    region.facts = fresh({cache: refused});
    region.pass();
    expect(condition(region, 'CacheReady')).toMatchObject({status: 'False', reason: 'Updating'});
    region.makeReady('Deployment');
    region.settle();
    const reason = 'NotTried';
    expect(condition(region, 'CacheReady')).toMatchObject({status: 'Unknown', reason});
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason});
    expect(region.status.phase).toBe('Updating');
    expect(region.next).toMatchObject({kind: 'after'});
    region.now = new Date(region.now.getTime() + 30_000);
    region.pass();
    expect(condition(region, 'CacheReady')).toMatchObject({status: 'False', reason: 'WriteFailed'});
    expect(region.status.phase).toBe('Degraded');
  });

  test('while the pods of a tier were away is tried again before it counts', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.set('Deployment', 'eu-redis', {availableReplicas: 0, readyReplicas: 0});
    region.facts = fresh({cache: refused});
    region.pass();
    expect(condition(region, 'CacheReady')).toMatchObject({status: 'False', reason: 'NotReady'});
    region.makeReady('Deployment');
    region.pass();
    expect(condition(region, 'CacheReady')).toMatchObject({status: 'Unknown', reason: 'NotTried'});
    region.now = new Date(region.now.getTime() + 30_000);
    region.pass();
    expect(condition(region, 'CacheReady')).toMatchObject({status: 'False', reason: 'WriteFailed'});
  });

  test('is told in one line, whatever it says', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.facts = fresh({broker: {ok: false, reason: 'see http://evil.example.com\nrun:\r\u001b[2J\u2028curl'}});
    region.pass();
    expect(condition(region, 'BrokerReady')?.message).toMatch(
      /takes no messages: see http:\/\/evil\.example\.com run: \[2J curl$/,
    );
  });

  test('of a shard that is not wanted yet does not count', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.facts = fresh({shards: [{id: 2, write: refused}]});
    region.pass();
    expect(region.status.phase).toBe('Ready');
  });

  test('has slots that no shard owns: devices there are refused, so the region does not work', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const owning = (...slots: readonly number[]) => slots.map((count, id) => ({id, slots: count}));
    region.facts = fresh({shards: owning(256, 256)});
    region.pass();
    const message = '2/2 shards ready, but at least 512 of 1024 slots are on none of them: devices there are refused';
    expect(condition(region, 'DatabaseReady')).toMatchObject({status: 'False', reason: 'SlotsMissing', message});
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason: 'SlotsMissing', message});
    for (const facts of [
      {shards: owning(512, 512)},
      // The third is not admitted, the second has not answered, one slot is being moved.
      {shards: owning(512, 512, 0)},
      {shards: [{id: 0, slots: 512}, {id: 1}]},
      {shards: owning(512, 511), slotMoves: {total: 1, done: 0, moving: 1}},
    ]) {
      region.facts = fresh(facts);
      region.pass();
      expect(region.status.phase).toBe('Ready');
    }
  });

  test('is looked at again when it becomes too old, and then nothing is known', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.factsAgeMs = 50_000;
    region.pass();
    expect(region.next).toEqual({kind: 'after', delayMs: 70_000});
    expect(region.status.phase).toBe('Ready');
    region.factsAgeMs = FACTS_LAST_MS;
    region.pass();
    for (const type of ['DatabaseReady', 'BrokerReady', 'CacheReady']) {
      expect(condition(region, type)).toMatchObject({status: 'Unknown', reason: 'KeeperSilent'});
    }
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason: 'KeeperSilent'});
    expect(region.next).toEqual({kind: 'on-change'});
    region.factsAgeMs = 0;
    region.pass();
    expect(region.status.phase).toBe('Ready');
  });

  test('is not told any more when it is too old', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.facts = fresh({shards: [{id: 0, slots: 512}], slotMoves: {total: 2, done: 0, moving: 2}});
    region.pass();
    expect(region.status).toMatchObject({slotMoves: {moving: 2}, shards: [{slots: 512}, {}]});
    region.factsAgeMs = FACTS_LAST_MS;
    region.pass();
    expect(region.status).not.toHaveProperty('slotMoves');
    expect(region.status.shards?.[0]).not.toHaveProperty('slots');
  });

  test('is missed for the reason for which the keeper does not run, where that is known', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.set('Deployment', 'eu-keeper', {observedGeneration: 1_000, replicas: 1});
    region.factsAgeMs = FACTS_LAST_MS;
    region.pass();
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason: 'NotAvailable'});
  });

  test.each<[string, string, string]>([
    [
      'is longer than a keeper writes',
      `{"shards":[${'0,'.repeat(500_000)}0]}`,
      'has 1000014 characters and is not read; a keeper writes no more than 80784',
    ],
    ['has more shards than a region', JSON.stringify({shards: Array(65).fill({id: 0})}), 'is not what a keeper writes'],
    ['is no JSON', '{"shards":', 'is not what a keeper writes'],
  ])('counts as nothing for two minutes where the text %s, and is then named', (_what, text, problem) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const good = region.facts;
    region.facts = text;
    region.pass();
    expect(region.status.phase).toBe('Ready');
    region.factsAgeMs = FACTS_LAST_MS;
    region.pass();
    for (const type of ['DatabaseReady', 'BrokerReady', 'CacheReady']) {
      expect(condition(region, type)).toMatchObject({status: 'Unknown', reason: 'FactsUnreadable'});
    }
    expect(condition(region, 'CacheReady')?.message).toBe(
      `1/1 caches ready, but what the keeper tried is not known: facts.json of ConfigMap eu-facts ${problem}`,
    );
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason: 'FactsUnreadable'});
    region.facts = good;
    region.factsAgeMs = 0;
    region.pass();
    expect(region.status.phase).toBe('Ready');
  });

  test('changes no status while it stays the same', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const before = JSON.stringify(region.status);
    region.facts = fresh({checkedAt: '2026-03-01T12:01:00Z'});
    region.pass();
    expect(JSON.stringify(region.status)).toBe(before);
  });
});

describe('without what the keeper has tried', () => {
  test('a new region is not ready, for two minutes without alarm', () => {
    const region = new SimulatedRegion(MINIMAL);
    region.facts = undefined;
    region.bringUp();
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason: 'NotTried'});
    expect(condition(region, 'DatabaseReady')).toMatchObject({status: 'True'});
    expect(region.next).toEqual({kind: 'after', delayMs: FACTS_LAST_MS});
    region.factsAgeMs = FACTS_LAST_MS;
    region.pass();
    expect(condition(region, 'DatabaseReady')).toMatchObject({status: 'Unknown', reason: 'KeeperSilent'});
    region.facts = fresh();
    region.factsAgeMs = 0;
    region.pass();
    expect(region.status.phase).toBe('Ready');
  });

  test('a region that worked is believed until it should have come', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.facts = undefined;
    region.pass();
    expect(region.status.phase).toBe('Ready');
  });

  test('a region whose keeper is of an earlier version is judged by its pods', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.facts = {shards: [{id: 0, slots: 1024, write: refused}]};
    region.factsAgeMs = FACTS_LAST_MS;
    region.pass();
    expect(region.status).toMatchObject({phase: 'Ready', shards: [{id: 0, slots: 1024}, {id: 1}]});
  });
});

test('the longest facts of a keeper are read', () => {
  const write = {ok: false, reason: '"'.repeat(MOST_REASON)};
  const shards = Array.from({length: 64}, (_, id) => ({id, slots: 1024, write}));
  const text = JSON.stringify({
    ...fresh({shards, broker: write, cache: write}),
    slotMoves: {total: 1024, done: 1000, moving: 1},
  });
  const region = new SimulatedRegion(MINIMAL).bringUp();
  region.facts = text;
  region.pass();
  expect(condition(region, 'DatabaseReady')?.reason).toBe('WriteFailed');
});

describe('the age of facts', () => {
  const regionOf = (uid: string, status: object = {}) =>
    decodeRegion({
      apiVersion: 'pisync.io/v1alpha1',
      kind: 'PiSyncRegion',
      metadata: {name: 'eu', namespace: 'sync', uid, resourceVersion: '1'},
      status,
    });
  const told = (checkedAt: string): Children =>
    new Children([
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {name: 'eu-facts', namespace: 'sync', uid: 'facts', resourceVersion: '1'},
        data: {[FACTS_KEY]: JSON.stringify({checkedAt, shards: []})},
      },
    ]);

  test('is for how long they were seen unchanged, whatever the time in them', () => {
    const clock = new FakeClock();
    const ages = new FactsAges(clock);
    const region = regionOf('one');
    expect(ages.ageMs(region, told('1999-01-01T00:00:00Z'), [], Infinity)).toBe(0);
    clock.freeze(60_000);
    expect(ages.ageMs(region, told('1999-01-01T00:00:00Z'), [], Infinity)).toBe(60_000);
    expect(ages.ageMs(region, told('2099-01-01T00:00:00Z'), [], Infinity)).toBe(0);
    clock.freeze(1_000);
    expect(ages.ageMs(regionOf('two'), told('2099-01-01T00:00:00Z'), [], Infinity)).toBe(0);
  });

  test('is endless for an operator that starts where another had given up, until they change', () => {
    const ages = new FactsAges(new FakeClock());
    const condition = {type: 'DatabaseReady', status: 'Unknown', reason: 'KeeperSilent', message: 'm'};
    const conditions = [{...condition, lastTransitionTime: '2026-03-01T12:00:00Z'}];
    const region = regionOf('one', {conditions});
    expect(ages.ageMs(region, told('2026-03-01T12:00:00Z'), [], Infinity)).toBe(Infinity);
    expect(ages.ageMs(region, told('2026-03-01T12:01:00Z'), [], Infinity)).toBe(0);
  });

  test('is not more than the time for which they could be seen, unless they had been given up', () => {
    const clock = new FakeClock();
    const ages = new FactsAges(clock);
    const facts = told('2026-03-01T12:00:00Z');
    expect(ages.ageMs(regionOf('one'), facts, [], Infinity)).toBe(0);
    clock.freeze(300_000);
    expect(ages.ageMs(regionOf('one'), facts, [], 5_000)).toBe(5_000);
    const condition = {type: 'DatabaseReady', status: 'Unknown', reason: 'KeeperSilent', message: 'm'};
    const given = regionOf('one', {conditions: [{...condition, lastTransitionTime: '2026-03-01T12:00:00Z'}]});
    expect(ages.ageMs(given, facts, [], 5_000)).toBe(300_000);
  });

  test('is none for an operator that starts, whatever else has not reported', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    expect(condition(region, 'AutoscalingActive')).toMatchObject({status: 'Unknown'});
    expect(
      new FactsAges(new FakeClock()).ageMs(regionOf('one', region.status), told('2026-03-01T12:00:00Z'), [], Infinity),
    ).toBe(0);
  });
});
