#!/usr/bin/env node
/** pisync-agent: wires a device to this machine. The only file here that knows the process. */
import {randomBytes} from 'node:crypto';
import {readdirSync, readFileSync, statfsSync} from 'node:fs';
import {hostname, totalmem} from 'node:os';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {Device, type Observer} from '../client/device.ts';
import {lifeOf} from '../client/content.ts';
import {isEnrolled, type Identity} from '../client/identity.ts';
import type {OutboxEntry} from '../client/outbox.ts';
import {createTransport} from '../client/transport.ts';
import {ledgerObserver, openLedger} from '../ledger/writer.ts';
import {createMeasuring, runAgent, syncOnce, verdict, type AgentLoop} from './agent.ts';
import {keepAside, REFUSED_FILE} from './aside.ts';
import {readEnrolmentToken} from './enrolment-token.ts';
import {explain} from './explain.ts';
import {loadIdentity, saveIdentity} from './identity-file.ts';
import {logTo} from './log.ts';
import {memoryOn} from './memory.ts';
import {AGENT_HELP, parseAgentCommand, type AgentOptions} from './options.ts';
import {collectReadings, describeMachine, type Machine} from './readings.ts';
import {openSpool, type Spool} from './spool.ts';
import {explainFolderError, openStateFolder} from './state-folder.ts';

const COMPACT_BYTES = 1024 * 1024;

/** How long a device that can write nothing down waits before it tries again. It is a call to the region each time. */
const REFUSED_WAIT_MS = 60_000;

const clock = {monotonicMs: () => performance.now(), wallMs: () => Date.now()};
const log = logTo(process.stderr, clock.wallMs);
const newSecret = (): string => randomBytes(32).toString('base64url');
const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
  await delay(Math.max(ms, 0), undefined, {signal}).catch(() => undefined);
};

const orNothing = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

const machineOf = (stateDir: string): Machine => ({
  readFile: (path) => orNothing(() => readFileSync(path, 'utf8')),
  list: (path) => orNothing(() => readdirSync(path)) ?? [],
  disk: () =>
    orNothing(() => {
      const {blocks, bavail, bsize} = statfsSync(stateDir);
      return {totalBytes: blocks * bsize, freeBytes: bavail * bsize};
    }),
});

/** What is stored, and who the device is. */
const openStore = async ({stateDir, maxQueued, hardwareId}: AgentOptions, ofThisMachine: string | undefined) => {
  await openStateFolder(stateDir);
  const saved = await loadIdentity(stateDir);
  // A device that was never enrolled is nobody yet: the region may have refused its id, and the card may be for another machine.
  const known = saved?.current !== undefined || isEnrolled(saved?.pending) ? saved : undefined;
  if (known !== undefined && hardwareId !== undefined && known.hardwareId !== hardwareId) {
    throw new Error(
      `the state folder ${stateDir} is that of hardware id ${known.hardwareId}: a device with another --hardware-id needs a folder of its own`,
    );
  }
  if (known !== undefined && hardwareId === undefined && (ofThisMachine ?? known.hardwareId) !== known.hardwareId) {
    log(
      `the state folder is that of hardware id ${known.hardwareId}, and this machine's is ${String(ofThisMachine)}: if the card is a copy, empty the folder on this one, so that it becomes a device of its own`,
    );
  }
  const id = hardwareId ?? known?.hardwareId ?? ofThisMachine ?? saved?.hardwareId;
  if (id === undefined)
    throw new Error('this machine has neither a serial number nor /etc/machine-id: give --hardware-id');
  const identity: Identity = saved?.hardwareId === id ? saved : {hardwareId: id, pending: {secret: newSecret()}};
  if (identity !== saved) await saveIdentity(stateDir, identity);
  const limits = {maxQueued, compactBytes: COMPACT_BYTES};
  const spool = await openSpool(stateDir, limits);
  if (spool.recovery === 'torn') log('the last line of the spool was torn by a power cut and is left out');
  if (spool.recovery === 'corrupt') {
    log(
      `DAMAGED: ${spool.lostLines} lines of the spool cannot be read, and what readings were in them is lost; the others are kept for a new epoch, which needs a valid enrolment token. The damaged file is ${join(stateDir, 'spool.log.corrupt')}`,
    );
  }
  const {current} = identity;
  if (current !== undefined && spool.outbox.epoch === undefined) {
    // Its journal has an epoch before it has a credential, so the journal is gone, and numbers of this epoch may be used.
    await commit(spool, [
      {op: 'epoch', epoch: current.epoch, life: lifeOf(current.secret)},
      {op: 'lost', lines: 0},
    ]);
  }
  return {identity, spool, limits};
};

const commit = async (spool: Spool, entries: readonly OutboxEntry[]): Promise<void> => {
  await spool.append(entries);
  for (const entry of entries) spool.outbox.apply(entry);
};

const logging = (stopped: AbortSignal, ledger: Observer, losses: {bad: number; garbled: number}): Observer => ({
  ...ledger,
  enrolled: (deviceId, epoch) => log(`enrolled as ${deviceId}, epoch ${epoch}`),
  answered: (device, batch, hash, answer, tookMs) => {
    const name = `batch ${batch.epoch}/${batch.batchSeq} with ${batch.records.length} records`;
    if (answer.kind === 'accepted') {
      log(`${name} accepted in ${Math.round(tookMs)} ms`);
      if (answer.error !== undefined) {
        losses.bad += 1;
        log(
          `BAD: the region cannot store all of batch ${batch.epoch}/${batch.batchSeq}, and keeps that in quarantine (${answer.error})`,
        );
      }
      if ((answer.sync.contentHash ?? hash) !== hash) {
        losses.garbled += 1;
        log(
          `GARBLED: batch ${batch.epoch}/${batch.batchSeq} reached the region with another content than was sent; over https that cannot be`,
        );
      }
    } else if (!stopped.aborted) log(`${name}: ${explain(answer.error)}`);
    ledger.answered?.(device, batch, hash, answer, tookMs);
  },
  called: (what, _tookMs, error) => {
    if (error !== undefined && what !== 'sync' && !stopped.aborted) log(`${what} failed: ${explain(error)}`);
  },
});

const run = async (options: AgentOptions): Promise<number> => {
  const stop = new AbortController();
  const machine = machineOf(options.stateDir);
  const {hardwareId, model, state} = describeMachine(machine);
  const {identity, spool, limits} = await openStore(options, hardwareId);
  const enrolmentToken = readEnrolmentToken(options.tokenFile, identity.current !== undefined, log);
  const {transport, close} = createTransport({...options, connections: 1, signal: stop.signal});
  const ledger = options.ledger === undefined ? undefined : await openLedger(options.ledger);
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      log(`${name}: stopping`);
      stop.abort();
    });
  }

  const droppedBefore = spool.outbox.dropped;
  const losses = {bad: 0, garbled: 0};
  const device = new Device({
    identity,
    outbox: spool.outbox,
    memory: {
      ...memoryOn(options.stateDir, spool),
      async setAside(batch, reason) {
        const isKept = await keepAside(options.stateDir, batch, reason);
        log(
          isKept
            ? `GIVEN UP: the region refuses ${batch.records.length} readings for good (${reason}); they are kept in ${join(options.stateDir, REFUSED_FILE)}`
            : `the region refuses ${batch.records.length} readings for good (${reason}), and the disk does not take them: they stay in the spool`,
        );
        return isKept;
      },
    },
    transport: options.once ? transport : (call) => measuring.during(transport(call)),
    clock,
    random: Math.random,
    newSecret,
    readState: () => ({...state, dropped: spool.outbox.dropped + measuring.givenUp()}),
    observer: logging(stop.signal, ledger === undefined ? {} : ledgerObserver(ledger, () => clock.wallMs()), losses),
    options: {
      baseUrl: options.url,
      enrolmentToken,
      profile: {name: options.name ?? hostname(), model},
      backoffScale: options.backoffScale,
      isStartSpread: !options.once,
      homeHosts: options.homeHosts,
    },
  });
  const loop: AgentLoop = {
    device,
    limits,
    collect: () => collectReadings(machine, clock.wallMs()),
    drop: (entries) => commit(spool, entries),
    spool,
    nowMs: () => clock.monotonicMs(),
    sleep,
    signal: stop.signal,
    tell: log,
  };
  const measuring = createMeasuring(loop, options.intervalMs);
  try {
    if (!options.once) {
      await runAgent(loop, measuring, {...options, refusedWaitMs: REFUSED_WAIT_MS * options.backoffScale});
      if (measuring.unstored() === 0) return 0;
      log(`GIVEN UP: ${measuring.unstored()} readings were not stored when the agent ended`);
      return 1;
    }
    for (let count = 0; count < options.measurements && !stop.signal.aborted; count++) {
      if (count > 0) await sleep(options.intervalMs, stop.signal);
      await measuring.measure();
    }
    const done = await syncOnce(loop, clock.monotonicMs() + options.timeoutMs * 10);
    const readings = measuring.givenUp() + measuring.unstored() + spool.outbox.dropped - droppedBefore;
    const lost = {...losses, readings, lines: spool.lostLines};
    const {code, text} = verdict(device, done, lost, stop.signal.aborted);
    log(text);
    return code;
  } finally {
    // What failed has been told where it was awaited; here all is only let go.
    await Promise.allSettled([spool.close(), ledger?.close(), close()]);
  }
};

/** What the control group of this process may have, or the machine has. */
const memoryBytes = (): number => Math.min(process.constrainedMemory() || Infinity, totalmem());

const main = async (): Promise<number> => {
  const command = parseAgentCommand(process.argv.slice(2), memoryBytes());
  switch (command.kind) {
    case 'help':
      process.stdout.write(AGENT_HELP);
      return 0;
    case 'wrong':
      process.stderr.write(
        `${command.problems.map((problem) => `pisync-agent: ${problem}`).join('\n')}\nTry --help.\n`,
      );
      return 2;
    case 'run':
      return run(command.options).catch((error: unknown) => {
        throw explainFolderError(command.options.stateDir, error);
      });
  }
};

try {
  process.exitCode = await main();
} catch (error) {
  log(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
