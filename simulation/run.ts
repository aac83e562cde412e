/** One run: some minutes of a region's life with faults, then quiet until everything has arrived, then the laws. */
import {planFaults} from './faults.ts';
import {knownViolation} from './judge/known-violations.ts';
import {judge, judgedDevices, type Violation} from './judge/laws.ts';
import {findDoubledReadings, findLostReadings} from './judge/readings.ts';
import {type Mutant} from './mutants/mutant.ts';
import {type Pi} from './processes/pi.ts';
import {deviceIdOf} from '@pisync/device-api/enrol/device-id';
import {type Reading} from '@pisync/agent/client/wire';
import {calm, drawWeather} from './weather.ts';
import {createWorld, type World} from './world.ts';

export interface RunOptions {
  readonly seed: number;
  /** Whether the story is written. */
  readonly isTold?: boolean;
  readonly mutant?: Mutant | undefined;
}

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** Names of known violations that happened. */
  readonly known: readonly string[];
  readonly story: readonly string[];
  /** Of the story and of what the shards have. */
  readonly hash: string;
  readonly events: number;
  readonly batches: number;
  /** Of virtual time. */
  readonly tookMs: number;
}

/** A ladder's rungs take an hour and a quarter; whoever still waits then waits for ever. */
const DRAIN_MS = 6 * 3_600_000;
/**
 * Where the broker has lost messages, a device notices after a day, and again if it has begun others since. Where long bodies come through no more, it asks again
 * after hours, and sends what it was told of before a start again after a day.
 */
const DRAIN_LONG_MS = 4 * 24 * 3_600_000;
/** Devices ask how far the region is; those that have to wait for long ask seldom. */
const ASK_EVERY_MS = {first: 10_000, most: 600_000} as const;

export const runSeed = async ({seed, isTold = false, mutant}: RunOptions): Promise<Outcome> => {
  const world = createWorld({seed, isTold, mutant});
  const {random, scheduler, weather, servers, story} = world;
  Object.assign(weather, drawWeather(random));
  for (const server of servers) server.start();
  for (let count = random.int(1, 4); count > 0; count--) {
    const name = `pi ${count}`;
    const hardwareId = `${name} of ${seed}`;
    world.addPi(name, {identity: {hardwareId, pending: {secret: world.newSecret()}}, journal: []}).powerOn();
  }
  const activeMs = random.int(10_000, 50_000);
  measureAtTimes(world, activeMs);
  const endFaults = planFaults(world, activeMs);
  await scheduler.run(activeMs);

  endFaults();
  story.say('the faults', () => 'are over');
  Object.assign(weather, calm());
  for (const database of world.databases) database.setPace(1);
  for (const server of servers) {
    server.clock.offsetMs = 0;
    server.start();
  }
  for (const pi of world.pis) {
    if (isTwin(pi)) pi.powerOff();
    else pi.powerOn();
  }
  const isDone = (): boolean => world.broker.depth() === 0 && judgedPis(world).every((pi) => pi.isDone());
  await drain(world, isDone);
  // What the broker still has up its sleeve, and what devices do of themselves.
  await scheduler.run(scheduler.now() + 130_000);
  await drain(world, isDone);
  return conclude(world, seed, isDone());
};

const drain = async (world: World, isDone: () => boolean): Promise<void> => {
  const {scheduler, pis, broker, ways} = world;
  const isNarrow = Object.values(ways).some((records) => records < Infinity);
  const untilMs = scheduler.now() + (broker.hasLost() || isNarrow ? DRAIN_LONG_MS : DRAIN_MS);
  for (let waitMs: number = ASK_EVERY_MS.first; !isDone() && scheduler.now() < untilMs;) {
    for (const pi of pis) if (!pi.isDone()) pi.ask();
    await passTime(world, waitMs, isDone);
    waitMs = Math.min(waitMs * 1.5, ASK_EVERY_MS.most);
  }
};

const deviceOf = (pi: Pi): string => deviceIdOf(pi.card().identity.hardwareId);

/** It has lost what the device was told of, and the device notices after a day and more. */
const isOfRestoredShard = ({shardOfDevice}: World, pi: Pi): boolean => shardOfDevice(deviceOf(pi)).wasRestored();

const judgedPis = (world: World): readonly Pi[] =>
  world.pis.filter((pi) => !isTwin(pi) && !isOfRestoredShard(world, pi));

const isTwin = ({name}: Pi): boolean => name.endsWith('twin');

/** Also when nothing is due. */
const passTime = async ({scheduler}: World, ms: number, isDone: () => boolean): Promise<void> => {
  let isOver = false;
  scheduler.after(ms, () => {
    isOver = true;
  });
  await scheduler.run(Infinity, () => isOver || isDone());
};

const measureAtTimes = (world: World, activeMs: number): void => {
  const {random, scheduler, pis} = world;
  let numbers = 0;
  const reading = (): Reading => {
    numbers += 1;
    // A text that no database keeps: the record is set aside, the others are taken.
    const d = random.chance(0.03) ? {id: numbers, text: '\0'} : {id: numbers};
    return {k: 'n', t: 1_700_000_000_000 + numbers, d};
  };
  const pauseMs = random.pick([150, 600, 3_000]);
  const measure = (): void => {
    if (scheduler.now() > activeMs) return;
    random.pick(pis).measure(Array.from({length: random.int(0, 3)}, reading), random.chance(0.1));
    scheduler.after(random.skewed(10, pauseMs * 4), measure);
  };
  scheduler.after(0, measure);
};

const conclude = (world: World, seed: number, isDrained: boolean): Outcome => {
  const {ledger, databases, scheduler, story} = world;
  const violations: Violation[] = [];
  const known = new Set<string>();
  const ofRestoredShards = new Set(world.pis.filter((pi) => isOfRestoredShard(world, pi)).map(deviceOf));
  const say = (violation: Violation): void => {
    const name = knownViolation(violation, {
      ofRestoredShards,
      hasLostMessages: world.broker.hasLost(),
      copied: world.copied,
      misled: world.misled,
      isNarrow: Object.values(world.ways).some((records) => records < Infinity),
      damaged: world.damaged,
    });
    if (name !== undefined) known.add(name);
    else violations.push(violation);
  };
  for (const database of databases) {
    for (const device of judgedDevices(database.tables(), ledger, world)) judge(device).forEach(say);
  }
  findLostReadings(world).forEach(say);
  findDoubledReadings(world).forEach(say);
  for (const {reason, device} of world.unreadable)
    say({law: 'what is not applied is in quarantine', device, detail: `no shard could keep: ${reason}`});
  if (!isDrained) {
    const waiting = judgedPis(world)
      .filter((pi) => !pi.isDone())
      .map((pi) => pi.describe());
    const detail = `${world.broker.depth()} messages on the broker; ${waiting.join('; ')}`;
    violations.push({law: 'nothing waits for ever', device: undefined, detail});
  }
  for (const detail of world.broker.tooManyCopies())
    violations.push({law: 'what is in hand is published once', device: undefined, detail});
  for (const {law, device, detail} of violations)
    story.say('a law', () => `is broken: ${law}. ${device ?? ''} ${detail}`);
  return {
    seed,
    violations,
    known: [...known],
    story: story.lines,
    hash: story.hash(),
    events: scheduler.events(),
    batches: databases.reduce((sum, database) => sum + database.tables().receipts.size, 0),
    tookMs: scheduler.now(),
  };
};
