#!/usr/bin/env node
/** pisync-fleet: the simulator and the judge. Wires the parts; the only file here that knows the process. */
import {randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {createTransport} from '../client/transport.ts';
import {openBuckets} from '../judge/buckets.ts';
import {judge, waitUntilApplied} from '../judge/judge.ts';
import {printVerdict} from '../judge/print.ts';
import {openShard} from '../judge/shard-reader.ts';
import {parseShards} from '../judge/shards-file.ts';
import {openLedger} from '../ledger/writer.ts';
import {runFleet} from './fleet.ts';
import {FLEET_HELP, parseFleetCommand, type JudgeOptions, type RunOptions} from './options.ts';
import {parseSeries} from './series.ts';

const SERIES_FILE = 'seattle-weather-hourly-normals.csv';

const clock = {monotonicMs: () => performance.now(), wallMs: () => Date.now()};

const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
  await delay(Math.max(ms, 0), undefined, {signal}).catch(() => undefined);
};

const out = (text: string): void => void process.stdout.write(text);
const progress = (text: string): void =>
  void process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${text}` : `${text}\n`);

const writeReport = (path: string | undefined, report: unknown): void => {
  if (path !== undefined) writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
};

const run = async (options: RunOptions): Promise<number> => {
  const package_ = dirname(createRequire(import.meta.url).resolve('vega-datasets'));
  const series = parseSeries(readFileSync(join(package_, '..', 'data', SERIES_FILE), 'utf8'));
  const {transport, close} = createTransport({...options, connections: options.concurrency});
  const ledger = options.ledger === undefined ? undefined : await openLedger(options.ledger);
  const interrupt = new AbortController();
  const onSignal = (): void => {
    progress('finishing what is on its way; once more to end at once\n');
    interrupt.abort();
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const report = await runFleet({
    options: {
      ...options,
      run: options.run ?? randomBytes(4).toString('hex'),
      device: {
        baseUrl: options.url,
        enrolmentToken: readFileSync(options.tokenFile, 'utf8').trim(),
        backoffScale: options.backoffScale,
      },
    },
    series,
    transport,
    clock,
    random: Math.random,
    newSecret: () => randomBytes(32).toString('base64url'),
    ledger,
    sleep,
    signal: interrupt.signal,
    progress: (phase, tally, {devices, batches}) => {
      const {enrolled, due, acked, failures} = tally;
      const {p50Ms, p99Ms} = tally.accept.percentiles;
      progress(
        phase === 'enrol'
          ? `enrolled ${enrolled}/${devices}, failed calls ${failures}`
          : `due ${due}/${devices * batches}, acked ${acked}, failed calls ${failures}, p50 ${p50Ms} ms, p99 ${p99Ms} ms`,
      );
    },
    progressEveryMs: process.stderr.isTTY ? 500 : 5000,
  });
  progress('\n');
  await ledger?.close();
  await close();
  writeReport(options.report, report);
  out(`${JSON.stringify(report, null, 2)}\n`);
  if (report.interrupted) return 130;
  return report.unfinished === 0 && report.enrolled >= report.devices ? 0 : 1;
};

const judgeLedgers = async (options: JudgeOptions): Promise<number> => {
  const shards = parseShards(readFileSync(options.shardsFile, 'utf8'), options.shardsFile).map(openShard);
  const ledgers = await openBuckets(options.ledgers);
  try {
    await waitUntilApplied(ledgers, shards, {
      deadlineMs: clock.monotonicMs() + options.waitMs,
      pollMs: 500,
      nowMs: () => clock.monotonicMs(),
      sleep: (ms) => delay(ms),
      progress: (missing) => {
        progress(typeof missing === 'number' ? `acked and not yet applied: ${missing}` : missing);
      },
    });
    progress('\n');
    const verdict = await judge(ledgers, shards);
    writeReport(options.report, verdict);
    out(printVerdict(verdict));
    out(`${JSON.stringify(verdict)}\n`);
    return verdict.ok ? 0 : 1;
  } finally {
    await ledgers.close();
    await Promise.all(shards.map((shard) => shard.close()));
  }
};

const main = async (): Promise<number> => {
  const command = parseFleetCommand(process.argv.slice(2));
  switch (command.kind) {
    case 'help':
      out(FLEET_HELP);
      return 0;
    case 'wrong':
      process.stderr.write(
        `${command.problems.map((problem) => `pisync-fleet: ${problem}`).join('\n')}\nTry --help.\n`,
      );
      return 2;
    case 'run':
      return run(command.options);
    case 'judge':
      return judgeLedgers(command.options);
  }
};

// Whoever read them may be gone, as in `| head`: lines are lost, and the run goes on.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`pisync-fleet: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
