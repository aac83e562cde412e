/** `make bench`: measures, prints a table, writes out/bench.json, fails below a floor of budgets.json. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {availableParallelism, cpus, loadavg} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import budgets from './budgets.json' with {type: 'json'};
import {interleave, type Measured, ratios, type Sample, type Spread, spreadOf, summarise} from './measure.ts';
import {type Probe, probe} from './probe.ts';
import {serversOf} from './servers.ts';
import {openWriterBench} from './shard-writer.ts';
import {compareSyncPaths, PACE, type SyncComparison} from './sync-comparison.ts';
import {type PacedSample} from './sync-path.ts';

const HELP = `usage: node bench/main.ts [--quick] [--no-budget]

  --quick       about two minutes; without it, about twelve
  --no-budget   exit 0 also below a floor of bench/budgets.json

Reads PISYNC_TEST_POSTGRES_URL, PISYNC_TEST_AMQP_URL and PISYNC_TEST_REDIS_URL; "make bench" starts such servers.
Rates are medians of three rounds that are interleaved; "cpu" is the processor time of our own processes, load generator
included, in microseconds per unit; the servers' is not in it. Results: out/bench.json.
`;

const ROUNDS = 3;
const SIZES = {
  quick: {batches: 4000, loadMs: 3_000, pacedMs: 3_000, warmUpMs: 1_000},
  full: {batches: 20_000, loadMs: 15_000, pacedMs: 10_000, warmUpMs: 5_000},
} as const;

const out = join(import.meta.dirname, '../out');
const print = (text: string): void => void process.stdout.write(`${text}\n`);
const onSample = (round: number, name: string, {perSecond}: Sample): void =>
  void process.stderr.write(`round ${round + 1}, ${name}: ${Math.round(perSecond)}/s\n`);

const spread = ({median, min, max}: Spread, digits: number): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
const row = (name: string, unit: string, {rate, cpuMicros}: Measured): string =>
  `${name.padEnd(48)} ${spread(rate, 0).padStart(24)} ${unit.padEnd(10)} cpu ${spread(cpuMicros, 0)}`;

const pacedRow = (name: string, samples: readonly PacedSample[]): string => {
  const of = (pick: (sample: PacedSample) => number): string => spread(spreadOf(samples.map(pick)), 1);
  return `${name.padEnd(48)} p50 ${of(({waits}) => waits.p50Ms)} p99 ${of(({waits}) => waits.p99Ms)} ms   cpu ${of(({cpuMicros}) => cpuMicros)}`;
};

interface Ratio {
  readonly name: string;
  readonly ratio: Spread;
  /** The run fails below the floor; the aim is what is worked towards. */
  readonly budget: {readonly floor: number; readonly aim: number} | undefined;
}
/** P3 and P4 are those against the seed, with one record and with many. */
const ratiosOf = ({records, best: {seed, lean, pisync}}: SyncComparison): readonly Ratio[] => [
  {
    name: `${records === 1 ? 'P3' : 'P4'} PiSync ÷ seed, applied syncs of ${records} records`,
    ratio: ratios(pisync, seed),
    budget: records === 1 ? budgets.smallSyncsToSeed : budgets.syncPathToSeed,
  },
  {name: `   PiSync ÷ lean, applied syncs of ${records} records`, ratio: ratios(pisync, lean), budget: undefined},
];

const isBelow = ({ratio, budget}: Ratio): boolean => budget !== undefined && ratio.median < budget.floor;
const ratioRow = (one: Ratio): string => {
  const budget = one.budget === undefined ? '' : `floor ${one.budget.floor}, aim ${one.budget.aim}`;
  return `${one.name.padEnd(48)} ${spread(one.ratio, 2).padStart(24)} ${budget}${isBelow(one) ? '   BELOW THE FLOOR' : ''}`;
};

const probeRow = ({postgres, fsync, synchronousCommit, commitMs, fdatasyncMs}: Probe): string =>
  `PostgreSQL ${postgres}, fsync ${fsync}, synchronous_commit ${synchronousCommit}; one commit ${spread(commitMs, 2)} ms; ` +
  `fdatasync of 8 KiB here ${spread(fdatasyncMs, 2)} ms`;

const main = async (): Promise<number> => {
  const {values} = parseArgs({
    options: {
      quick: {type: 'boolean', default: false},
      'no-budget': {type: 'boolean', default: false},
      help: {type: 'boolean', default: false},
    },
  });
  if (values.help) {
    print(HELP);
    return 0;
  }
  const servers = serversOf(process.env);
  const mode = values.quick ? 'quick' : 'full';
  const {batches, loadMs, pacedMs, warmUpMs} = SIZES[mode];
  mkdirSync(out, {recursive: true});
  const loadBefore = loadavg();

  // Closed also when a measure fails.
  await using opened = new AsyncDisposableStack();
  const writer = opened.adopt(await openWriterBench(batches), (it) => it.close());
  const disk = await probe(writer.shards.shards.pool(0, 'job'), out);
  await writer.write(2);
  await writer.copy();
  const shard = await interleave(
    ROUNDS,
    {copy: writer.copy, writer1: () => writer.write(1), writer2: () => writer.write(2)},
    onSample,
  );

  const {compared, groups} = await compareSyncPaths({
    servers,
    rounds: ROUNDS,
    loadMs,
    pacedMs,
    warmUpMs,
    folder: out,
    onSample,
  });

  const ratio: readonly Ratio[] = [
    {
      name: 'P1 shard writer, two windows ÷ COPY',
      ratio: ratios(shard.writer2, shard.copy),
      budget: budgets.shardWriterToCopy,
    },
    {name: '   shard writer, one window ÷ COPY', ratio: ratios(shard.writer1, shard.copy), budget: undefined},
    ...compared.flatMap(ratiosOf),
  ];
  const measured = {
    copy: summarise(shard.copy),
    shardWriterOneWindow: summarise(shard.writer1),
    shardWriterTwoWindows: summarise(shard.writer2),
    syncPaths: compared.map(({records, best, paced}) => ({
      records,
      best: {seed: summarise(best.seed), lean: summarise(best.lean), pisync: summarise(best.pisync)},
      paced,
    })),
  };

  const machine = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}`;
  const load = loadBefore[0] ?? 0;
  print(`\n${mode}, ${ROUNDS} rounds: median (min–max). ${machine}, load average before ${load.toFixed(1)}`);
  if (load > availableParallelism())
    print('The machine was busy with other work before this began: the figures are worth little.');
  print(`${probeRow(disk)}\n`);
  print(row('COPY into the same table, one connection', 'rows/s', measured.copy));
  print(row('shard writer, batches of 20, one window', 'records/s', measured.shardWriterOneWindow));
  print(row('shard writer, two windows (the worker’s default)', 'records/s', measured.shardWriterTwoWindows));
  for (const {records, best} of measured.syncPaths) {
    print(row(`seed, ${records} records a sync, to commit`, 'syncs/s', best.seed));
    print(row(`lean, ${records} records a sync, to commit`, 'syncs/s', best.lean));
    print(row(`PiSync, ${records} records a sync, to commit`, 'syncs/s', best.pisync));
  }
  const {batchesPerBundle, recordsPerWindow} = groups;
  print(
    `   on average ${batchesPerBundle.toFixed(0)} batches a bundle, ${recordsPerWindow.toFixed(0)} records a window`,
  );
  print(`\nFrom when a sync is due until it is accepted, ${PACE} syncs/s:`);
  for (const {records, paced} of compared) {
    print(pacedRow(`seed, ${records} records a sync`, paced.seed));
    print(pacedRow(`lean, ${records} records a sync`, paced.lean));
    print(pacedRow(`PiSync, ${records} records a sync`, paced.pisync));
  }
  print('');
  for (const one of ratio) print(ratioRow(one));

  const report = {
    mode,
    rounds: ROUNDS,
    machine,
    loadAverageBefore: loadBefore,
    probe: disk,
    measured,
    groups,
    ratios: ratio,
  };
  writeFileSync(join(out, 'bench.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  return ratio.some(isBelow) && !values['no-budget'] ? 1 : 0;
};

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
