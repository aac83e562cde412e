/** A device: the real client on a card that keeps what was made durable, and loses what was not. */
import {Device, type Observer} from '@pisync/agent/client/device';
import {type Identity, isEnrolled} from '@pisync/agent/client/identity';
import {Outbox} from '@pisync/agent/client/outbox';
import {type Transport} from '@pisync/agent/client/transport';
import {type Reading} from '@pisync/agent/client/wire';
import {type Line, linesOf} from '@pisync/agent/pi/journal';
import {type Random} from '../random.ts';
import {type Story} from '../story.ts';
import {POLICY} from './policy.ts';
import {type Process} from './process.ts';

export interface Card {
  identity: Identity;
  journal: Line[];
}

export const copyCard = ({identity, journal}: Card): Card => ({identity, journal: [...journal]});

export interface PiOptions {
  readonly name: string;
  readonly card: Card;
  readonly startProcess: (name: string) => Process;
  readonly transport: (process: Process) => Transport;
  readonly random: Random;
  readonly story: Story;
  readonly observer: Observer;
  readonly newSecret: () => string;
  /** A secret that the region may know went with the power, so the device takes another, and an epoch with it. */
  readonly onSecretLost: () => void;
}

export interface Pi {
  readonly name: string;
  readonly card: () => Card;
  readonly isOn: () => boolean;
  /** Readings that it will record and send. */
  measure(readings: readonly Reading[], isForced: boolean): void;
  powerOff(): void;
  powerOn(): void;
  /** Another card, from when it is switched on. */
  insert(card: Card): void;
  /** Asks the region how far it is, soon. */
  ask(): void;
  /** Everything that it has is applied, and it knows. */
  readonly isDone: () => boolean;
  describe(): string;
}

interface Life {
  readonly process: Process;
  readonly device: Device;
  readonly waiting: Reading[];
  wake: () => void;
}

const stateOf = (count: number) => ({count, ok: true});

export const createPi = (options: PiOptions): Pi => {
  const {name, startProcess, random, story, observer, newSecret, onSecretLost} = options;
  let card = options.card;
  let life: Life | undefined;
  let states = 0;

  const start = (): Life => {
    const process = startProcess(name);
    const outbox = new Outbox();
    for (const entry of card.journal) outbox.apply(entry);
    const mine = card;
    let writing: Promise<unknown> = Promise.resolve();
    /** In order. When the power goes in the middle, it may be on the card all the same. */
    const persist = (write: () => void): Promise<void> => {
      const isDurableEarly = random.chance(0.5);
      const done = writing.then(async () => {
        if (isDurableEarly) write();
        await process.pause(random.skewed(0.5, 20));
        if (!isDurableEarly) write();
      });
      writing = done;
      return done;
    };
    const device = new Device({
      identity: card.identity,
      outbox,
      memory: {
        saveIdentity: (identity) => persist(() => (mine.identity = identity)),
        append(entries) {
          const lines = linesOf(entries, outbox);
          return persist(() => mine.journal.push(...lines));
        },
        setAside: () => Promise.resolve(true),
      },
      transport: options.transport(process),
      clock: {monotonicMs: process.timers.now, wallMs: process.wallClock},
      random: random.next,
      newSecret,
      readState: () => (random.chance(0.7) ? stateOf(++states) : undefined),
      observer,
      options: {baseUrl: 'http://region', enrolmentToken: 'token', profile: {}, backoffScale: 1, policy: POLICY},
    });
    const started: Life = {process, device, waiting: [], wake: () => undefined};
    void live(started);
    return started;
  };

  const live = async (mine: Life): Promise<void> => {
    const {process, device, waiting} = mine;
    for (;;) {
      const readings = waiting.splice(0);
      if (readings.length > 0) await device.record(readings);
      const untilMs = await device.step();
      if (waiting.length > 0) continue;
      const waitMs = Math.max(1, untilMs - process.timers.now());
      await new Promise<void>((resolve) => {
        const cancel = process.after(waitMs, resolve);
        mine.wake = () => {
          cancel();
          resolve();
        };
      });
    }
  };

  return {
    name,
    card: () => card,
    isOn: () => life !== undefined,
    measure(readings, isForced) {
      if (life === undefined) return;
      life.waiting.push(...readings);
      life.device.wakeUp(isForced ? 'forced' : 'scheduled');
      life.wake();
    },
    powerOff() {
      if (life === undefined) return;
      story.say(name, () => 'loses its power');
      const {current, pending} = life.device.identity;
      if (current !== undefined && pending !== undefined && !isEnrolled(pending)) onSecretLost();
      life.process.kill();
      life = undefined;
    },
    powerOn() {
      if (life !== undefined) return;
      story.say(name, () => 'starts');
      life = start();
    },
    insert(other) {
      card = other;
    },
    ask() {
      life?.device.ask();
      life?.wake();
    },
    isDone: () =>
      life !== undefined &&
      life.waiting.length === 0 &&
      life.device.outbox.queued === 0 &&
      life.device.outbox.batches.length === 0,
    describe() {
      if (life === undefined) return `${name} is off`;
      const {session, outbox} = life.device;
      const batches = outbox.batches.map(
        ({epoch, batchSeq, accepted}) => `${epoch}/${batchSeq}${accepted ? ' accepted' : ''}`,
      );
      return `${name}: ${outbox.queued} readings wait, batches ${batches.join(', ') || 'none'}, ${session.phase}, last error ${session.lastError ?? 'none'}`;
    },
  };
};
