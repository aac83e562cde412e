#!/usr/bin/env node
/** pisync-agent: wires a device to this machine. The only file here that knows the process. */
import {randomBytes} from 'node:crypto';
import {mkdirSync, readdirSync, readFileSync, statfsSync} from 'node:fs';
import {hostname} from 'node:os';
import {dirname} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {Device, type Identity, type Observer} from '../client/device.ts';
import {createTransport} from '../client/transport.ts';
import {ledgerObserver, openLedger} from '../ledger/writer.ts';
import {measure, runAgent, syncOnce, type AgentLoop} from './agent.ts';
import {loadIdentity, saveIdentity} from './identity-file.ts';
import {AGENT_HELP, parseAgentCommand, type AgentOptions} from './options.ts';
import {collectReadings, describeMachine, type Machine} from './readings.ts';
import {openSpool, syncFolder} from './spool.ts';

const COMPACT_BYTES = 1024 * 1024;

const clock = {monotonicMs: () => performance.now(), wallMs: () => Date.now()};
const log = (text: string): void => void process.stderr.write(`${new Date().toISOString()} ${text}\n`);
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

const logging = (ledger: Observer): Observer => ({
  ...ledger,
  enrolled: (deviceId, epoch) => log(`enrolled as ${deviceId}, epoch ${epoch}`),
  answered: (device, batch, hash, answer, tookMs) => {
    const name = `batch ${batch.epoch}/${batch.batchSeq} with ${batch.records.length} records`;
    log(answer.kind === 'accepted' ? `${name} accepted in ${Math.round(tookMs)} ms` : `${name}: ${answer.error}`);
    ledger.answered?.(device, batch, hash, answer, tookMs);
  },
  called: (what, _tookMs, error) => {
    if (error !== undefined && what !== 'sync') log(`${what} failed: ${error}`);
  },
});

const run = async (options: AgentOptions): Promise<number> => {
  if (mkdirSync(options.stateDir, {recursive: true, mode: 0o700}) !== undefined) {
    await syncFolder(dirname(options.stateDir));
  }
  const machine = machineOf(options.stateDir);
  const {hardwareId = options.hardwareId, model, state} = describeMachine(machine);
  const limits = {maxQueued: options.maxQueued, compactBytes: COMPACT_BYTES};
  const known = await loadIdentity(options.stateDir);
  const id = options.hardwareId ?? known?.hardwareId ?? hardwareId;
  if (id === undefined)
    throw new Error('this machine has neither a serial number nor /etc/machine-id: give --hardware-id');
  let identity: Identity = known ?? {hardwareId: id, secret: newSecret()};
  if (identity !== known) await saveIdentity(options.stateDir, identity);
  const spool = await openSpool(options.stateDir, limits, async (recovery) => {
    if (recovery === 'new' && identity.credential === undefined) return;
    // Without the spool's numbers, numbers could be used twice. A new secret makes a new epoch.
    identity = {hardwareId: id, secret: newSecret()};
    await saveIdentity(options.stateDir, identity);
  });
  if (spool.recovery === 'torn') log('the last line of the spool was torn by a power cut and is left out');
  if (spool.recovery === 'corrupt') log('the spool is damaged: what could be read is kept, and a new epoch begins');

  const tokenFile = options.tokenFile;
  if (identity.credential === undefined && tokenFile === undefined) {
    throw new Error('this device is not enrolled: give --enrolment-token-file');
  }
  const {transport, close} = createTransport({...options, connections: 1});
  const ledger = options.ledger === undefined ? undefined : await openLedger(options.ledger);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());

  const device = new Device({
    identity,
    outbox: spool.outbox,
    memory: {
      saveIdentity: (next) => saveIdentity(options.stateDir, next),
      append: (entries) => spool.append(entries),
    },
    transport,
    clock,
    random: Math.random,
    newSecret,
    readState: () => ({...state, dropped: spool.outbox.dropped}),
    observer: logging(ledger === undefined ? {} : ledgerObserver(ledger, () => clock.wallMs())),
    options: {
      baseUrl: options.url,
      enrolmentToken: tokenFile === undefined ? undefined : readFileSync(tokenFile, 'utf8').trim(),
      profile: {name: options.name ?? hostname(), model},
      backoffScale: options.backoffScale,
    },
  });
  const loop: AgentLoop = {
    device,
    limits,
    collect: () => collectReadings(machine, clock.wallMs()),
    drop: async (entries) => {
      await spool.append(entries);
      for (const entry of entries) spool.outbox.apply(entry);
    },
    nowMs: () => clock.monotonicMs(),
    sleep,
    signal: stop.signal,
  };
  try {
    if (!options.once) {
      await runAgent(loop, options.intervalMs, options.syncEveryMs);
      return 0;
    }
    for (let count = 0; count < options.measurements && !stop.signal.aborted; count++) {
      if (count > 0) await sleep(options.intervalMs, stop.signal);
      await measure(loop);
    }
    const done = await syncOnce(loop, clock.monotonicMs() + options.timeoutMs * 10);
    log(
      done
        ? `everything applied: batch ${spool.outbox.applied}`
        : `not everything is applied: ${device.session.lastError ?? 'no time left'}`,
    );
    return done ? 0 : 1;
  } finally {
    await spool.close();
    await ledger?.close();
    await close();
  }
};

const main = async (): Promise<number> => {
  const command = parseAgentCommand(process.argv.slice(2));
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
      return run(command.options);
  }
};

try {
  process.exitCode = await main();
} catch (error) {
  log(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
