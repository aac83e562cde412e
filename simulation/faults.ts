/** What goes wrong, and when. All of it is planned at the start of a run, so that a seed names it. */
import {lifeOf} from '@pisync/agent/client/content';
import {Outbox} from '@pisync/agent/client/outbox';
import {salvage} from '@pisync/agent/pi/journal';
import {deviceIdOf} from '@pisync/device-api/enrol/device-id';
import {type Card, copyCard, type Pi} from './processes/pi.ts';
import {type World} from './world.ts';

/** Happens once, somewhere in the run; may undo itself later. */
type Fault = (world: World, plan: Plan) => void;

/** Of a run. */
interface Plan {
  /** Calls back after so long, unless the faults are over by then. */
  readonly later: (ms: number, run: () => void) => void;
}

const DAY_MS = 86_400_000;

const crash: Fault = ({servers, random}, {later}) => {
  const server = random.pick(servers);
  server.crash();
  later(random.skewed(10, 10_000), () => server.start());
};

const stepClock: Fault = ({servers, random, story}, {later}) => {
  const server = random.pick(servers);
  const stepMs = random.int(-DAY_MS, DAY_MS);
  server.clock.offsetMs += stepMs;
  story.say(server.name, () => `has its clock set by ${Math.round(stepMs / 60_000)} minutes`);
  later(random.int(1_000, 60_000), () => {
    server.clock.offsetMs = 0;
    story.say(server.name, () => 'has its clock right again');
  });
};

const hangShard: Fault = ({databases, random}) => random.pick(databases).hang(random.skewed(100, 40_000));
const restartShard: Fault = ({databases, random}) => random.pick(databases).restart(random.skewed(10, 30_000));
const slowShard: Fault = ({databases, random, story}, {later}) => {
  const database = random.pick(databases);
  const factor = random.int(5, 60);
  database.setPace(factor);
  story.say(database.name, () => `is ${factor} times as slow`);
  later(random.int(1_000, 30_000), () => {
    database.setPace(1);
    story.say(database.name, () => 'is as fast as ever');
  });
};
const brokerAway: Fault = ({broker, random}) => broker.away(random.skewed(50, 20_000));
const breakBroker: Fault = ({broker, servers, random, story}) => {
  const server = random.pick(servers);
  const process = server.process();
  if (process === undefined) return;
  story.say(server.name, () => 'loses its connections to the broker');
  broker.breakConnections(process);
};
const flushCache: Fault = ({cache}) => cache.flush();
const cacheAway: Fault = ({cache, random}) => cache.away(random.skewed(50, 30_000));

const cutPower: Fault = ({pis, random}, {later}) => {
  const pi = random.pick(pis);
  pi.powerOff();
  later(random.skewed(10, 10_000), () => pi.powerOn());
};

/** On and off again, as on a bad plug. */
const restartOften: Fault = ({pis, random}, {later}) => {
  const pi = random.pick(pis);
  const cycle = (): void => {
    pi.powerOff();
    later(random.int(10, 1_000), () => pi.powerOn());
    later(random.int(1_000, 10_000), cycle);
  };
  cycle();
};

/** A proxy that lets less through than there was before. */
const narrowWay: Fault = ({ways, random, story}) => {
  ways.allowed = Math.min(ways.allowed, random.int(1, 6));
  story.say('a proxy', () => `lets ${ways.allowed} records through`);
};

/** The same, and it says nothing. */
const cutWay: Fault = ({ways, random, story}) => {
  ways.unsaid = Math.min(ways.unsaid, random.int(1, 4));
  story.say('a proxy', () => `drops what has more than ${ways.unsaid} records`);
};

const loseMessages: Fault = ({broker, random}) => {
  for (let count = random.int(1, 4); count > 0; count--) broker.lose();
};

const deviceIdOfPi = (pi: Pi): string => deviceIdOf(pi.card().identity.hardwareId);

/** A command that asks a device for a new epoch, as an administrator's or a conflict's. Old batches go on, beside the new. */
const newEpoch: Fault = (world) => {
  const {random, pis, story} = world;
  const pi = random.pick(pis);
  const deviceId = deviceIdOfPi(pi);
  const tables = world.shardOfDevice(deviceId).tables();
  const device = tables.devices.get(deviceId);
  if (device === undefined) return;
  story.say(pi.name, () => 'shall begin a new epoch');
  world.askForEpoch(deviceId);
  const id = world.newId();
  tables.commands.set(`${device.deviceKey}/epoch.new`, {
    ...{deviceKey: device.deviceKey, type: 'epoch.new', commandId: id, requestId: id, priority: 'high'},
    ...{params: {epoch: device.epoch}, createdAtMs: 0, expiresAtMs: Number.MAX_SAFE_INTEGER, deliveredAtMs: undefined},
  });
  world.cache.flush();
};

/** A fresh card in a known device: what the old one had is gone. */
const reimage: Fault = (world) => {
  const pi = world.random.pick(world.pis);
  world.copied.add(deviceIdOfPi(pi));
  world.story.say(pi.name, () => 'gets a fresh card');
  const {hardwareId} = pi.card().identity;
  pi.powerOff();
  pi.insert({identity: {hardwareId, pending: {secret: world.newSecret()}}, journal: []});
  pi.powerOn();
};

const restoreCard: Fault = (world, {later}) => {
  const pi = world.random.pick(world.pis);
  const backup = copyCard(pi.card());
  later(world.random.int(1_000, 40_000), () => {
    if (pi.card().identity.hardwareId !== backup.identity.hardwareId) return;
    world.copied.add(deviceIdOfPi(pi));
    world.story.say(pi.name, () => 'gets an older copy of its card');
    pi.powerOff();
    pi.insert(copyCard(backup));
    pi.powerOn();
  });
};

/** One entry cannot be read any more, and with it its place in the count of numbers. What the agent then does is in its spool and its main. */
const damageCard: Fault = (world) => {
  const pi = world.random.pick(world.pis);
  const {identity, journal} = pi.card();
  if (journal.length === 0) return;
  const bad = world.random.int(0, journal.length - 1);
  world.story.say(pi.name, () => `loses entry ${bad} of ${journal.length} of its card: ${journal[bad]?.op ?? ''}`);
  pi.powerOff();
  const kept = [...salvage(journal.map((entry, index) => (index === bad ? undefined : entry)))];
  const outbox = new Outbox();
  for (const entry of kept) outbox.apply(entry);
  const {current} = identity;
  if (current !== undefined && outbox.epoch === undefined) {
    kept.push({op: 'epoch', epoch: current.epoch, life: lifeOf(current.secret)}, {op: 'lost', lines: 0});
  }
  const deviceId = deviceIdOfPi(pi);
  world.damaged.add(deviceId);
  world.askForEpoch(deviceId);
  pi.insert({identity, journal: kept});
  pi.powerOn();
};

const cloneCard: Fault = (world, {later}) => {
  const pi = world.random.pick(world.pis);
  const card: Card = copyCard(pi.card());
  world.copied.add(deviceIdOfPi(pi));
  world.story.say(pi.name, () => 'has a twin, with a copy of its card');
  const twin = world.addPi(`${pi.name}'s twin`, card);
  twin.powerOn();
  // One goes on while the other, off with a batch that it could not send, does not.
  for (const one of [pi, twin]) {
    later(world.random.int(100, 5_000), () => one.powerOff());
    later(world.random.int(5_000, 10_000), () => one.powerOn());
  }
  later(world.random.int(5_000, 40_000), () => twin.powerOff());
};

const restoreShard: Fault = ({databases, random}, {later}) => {
  const database = random.pick(databases);
  database.backUp();
  later(random.int(1_000, 20_000), () => void database.restore());
};

interface FaultClass {
  readonly name: string;
  readonly fault: Fault;
  /** How likely a run has it at all. */
  readonly probability: number;
  /** How often it happens in a run that has it, at most. */
  readonly most: number;
}

export const FAULTS: readonly FaultClass[] = [
  {name: 'a process crashes', fault: crash, probability: 0.6, most: 8},
  {name: 'a clock is wrong', fault: stepClock, probability: 0.3, most: 4},
  {name: 'a shard hangs', fault: hangShard, probability: 0.3, most: 2},
  {name: 'a shard restarts', fault: restartShard, probability: 0.3, most: 3},
  {name: 'a shard is slow', fault: slowShard, probability: 0.4, most: 3},
  {name: 'the broker is away', fault: brokerAway, probability: 0.3, most: 3},
  {name: 'connections to the broker break', fault: breakBroker, probability: 0.5, most: 8},
  {name: 'the cache forgets', fault: flushCache, probability: 0.3, most: 3},
  {name: 'the cache is away', fault: cacheAway, probability: 0.3, most: 2},
  {name: 'a device loses its power', fault: cutPower, probability: 0.5, most: 6},
  {name: 'a device restarts often', fault: restartOften, probability: 0.1, most: 1},
  {name: 'large batches come through no more', fault: narrowWay, probability: 0.15, most: 2},
  {name: 'large batches are dropped on their way', fault: cutWay, probability: 0.08, most: 2},
  {name: 'the broker loses what it has confirmed', fault: loseMessages, probability: 0.1, most: 3},
  {name: 'a device begins a new epoch', fault: newEpoch, probability: 0.6, most: 20},
  {name: 'a card is replaced', fault: reimage, probability: 0.3, most: 2},
  {name: 'a card is restored', fault: restoreCard, probability: 0.2, most: 2},
  {name: 'a card is damaged', fault: damageCard, probability: 0.15, most: 2},
  {name: 'a card is cloned', fault: cloneCard, probability: 0.15, most: 1},
  {name: 'a shard is restored', fault: restoreShard, probability: 0.03, most: 1},
];

/** Plans the faults of a run that lasts so long. @returns what ends them */
export const planFaults = (world: World, lastMs: number): (() => void) => {
  const {random, scheduler} = world;
  let isOver = false;
  const plan: Plan = {
    later: (ms, run) =>
      void scheduler.after(ms, () => {
        if (!isOver) run();
      }),
  };
  for (const {fault, probability, most} of FAULTS) {
    if (!random.chance(probability)) continue;
    for (let count = random.int(1, most); count > 0; count--) {
      plan.later(random.int(0, lastMs), () => fault(world, plan));
    }
  }
  return () => {
    isOver = true;
  };
};
