/** `make bench REGION=1`: what a region that somebody applied does, and what each sync costs every process of it. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {availableParallelism, cpus, loadavg, release} from 'node:os';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {type ClusterInfo, openCluster, readClusterInfo} from '../../scripts/demo/cluster-access.ts';
import {install} from '../../scripts/demo/install.ts';
import {ROOT} from '../../scripts/images/bundle.ts';
import {measureDuring} from './during.ts';
import {LoadProcess} from './load-process.ts';
import {commandOf, measureScenario, type Rig} from './measure-scenario.ts';
import {HELP, type Options, parseCommand} from './options.ts';
import {renderChartFile} from './page/chart.ts';
import {cpuChart} from './page/cpu-chart.ts';
import {renderHtml} from './page/report-html.ts';
import {PodCounts} from './pods.ts';
import {printReport, runLine, verdictLine} from './print.ts';
import {startRegion} from './region.ts';
import {type RegionReport, type RegionRun} from './report.ts';
import {functionTimes, profileOf} from './profile/profile.ts';
import {devicesFor, type Scenario, scenariosOf, SIZES, WARM_UP} from './scenarios.ts';
import {otherSide, type Side, thisSide} from './side.ts';

const OUT = join(ROOT, 'out');
/** Pixels, of the picture in docs/. */
const PICTURE_WIDTH = 860;
const print = (text: string): void => void process.stdout.write(`${text}\n`);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Begins with a new region of the side's own, and ends with none. */
const withRegion = async <T>(
  info: ClusterInfo,
  side: Side,
  records: number,
  work: (rig: Rig) => Promise<T>,
): Promise<T> => {
  // What was opened is closed in reverse order, also when something fails.
  await using opened = new AsyncDisposableStack();
  say(`\n${side.name} (${side.revision}): a new region`);
  const region = opened.adopt(await startRegion(info, side, () => undefined), (it) => it.drop());
  const load = new LoadProcess(region.cluster);
  opened.defer(() => load.end());
  await load.connect({...region.target, recordsPerSync: records});
  const others = (await region.cluster.kubectl('get', 'pisyncregions', '--all-namespaces', '-o', 'name'))
    .split('\n')
    .filter((line) => line !== '');
  if (others.length > 1) say('There are other regions in this cluster: what they cost is counted too.');
  const pods = new PodCounts(region.cluster);
  opened.defer(() => pods.close());
  return await work({region, load, pods});
};

/** In the middle of a paced scenario. */
const profileServices = async (side: Side, round: number, {name, load, count}: Scenario): Promise<void> => {
  if (load.perSecond === null) return;
  const thirdMs = ((count / load.perSecond) * 1000) / 3;
  await delay(thirdMs);
  await Promise.all(
    ['device-api', 'worker'].map(async (service) => {
      const profile = await profileOf(service, thirdMs);
      writeFileSync(
        join(OUT, `bench-${side.name}-${name}-${round + 1}-${service}.cpuprofile`),
        JSON.stringify(profile),
      );
      const most = functionTimes(profile).slice(0, 30);
      say(
        `      ${service}: ${most.map(({name: called, share}) => `${called} ${(share * 100).toFixed(1)} %`).join(', ')}`,
      );
    }),
  );
};

const measureAll = async (info: ClusterInfo, options: Options, signal: AbortSignal): Promise<number> => {
  const {quick, rounds, records} = options;
  const all = scenariosOf(SIZES[quick ? 'quick' : 'full']);
  const scenarios = options.scenarios.length === 0 ? all : all.filter(({name}) => options.scenarios.includes(name));
  const loadAverageBefore = loadavg();
  if ((loadAverageBefore[0] ?? 0) > availableParallelism())
    say('The machine is busy with other work: the figures will be worth little.');
  const log = (line: string): void => (line.trim() === '' ? undefined : say(`    ${line}`));
  const now = await thisSide({log: () => undefined, signal});
  const sides = options.compare === undefined ? [now] : [await otherSide(options.compare, {log, signal}), now];
  const runs: RegionRun[] = [];
  const report = (): RegionReport => ({
    startedAt,
    machine: {
      processor: cpus()[0]?.model ?? 'unknown processor',
      processors: availableParallelism(),
      loadAverageBefore,
      kernel: release(),
      kubernetes: info.serverVersion,
    },
    rounds: new Set(runs.map(({round}) => round)).size,
    recordsPerSync: records,
    profiled: options.profile,
    sides: sides.map(({name, revision}) => ({name, revision})),
    scenarios: scenarios.map(({name, title}) => ({name, title})),
    runs,
  });
  const startedAt = new Date().toISOString();
  for (let round = 0; round < rounds && !signal.aborted; round++) {
    // Every other round runs backwards, so that none is always first.
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      await withRegion(info, side, records, async (rig) => {
        const devices = [WARM_UP, ...scenarios].reduce((sum, scenario) => sum + devicesFor(scenario), 0);
        say(`  ${devices} devices enrol`);
        await rig.load.enrol(devices);
        await rig.load.carryOut(commandOf(WARM_UP, false));
        for (const scenario of scenarios) {
          if (signal.aborted) return;
          const {run, troubles} = await measureScenario(
            rig,
            scenario,
            options.probes,
            options.profile ? (it) => profileServices(side, round, it) : () => Promise.resolve(),
          );
          runs.push({side: side.name, round, ...run});
          say(`  round ${round + 1}, ${side.name}: ${scenario.title}: ${runLine(run)}`);
          for (const [what, times] of Object.entries(troubles)) say(`      ${times} × ${what}`);
          // After each, so that an interrupted run leaves what it measured.
          writeFileSync(join(OUT, 'bench-region.json'), `${JSON.stringify(report(), undefined, 1)}\n`);
        }
      });
    }
  }
  // What the cluster has is this checkout's, as before.
  if (sides.length > 1) await install(openCluster(info), ROOT);
  if (runs.length === 0) return 130;
  print(printReport(report()));
  writeFileSync(join(OUT, 'bench-region.html'), await renderHtml(report()));
  const chart = cpuChart(report(), PICTURE_WIDTH);
  if (chart !== undefined) writeFileSync(join(OUT, 'bench-region-cpu.svg'), await renderChartFile(chart));
  print(
    '\nout/bench-region.html shows it, out/bench-region-cpu.svg where the processor time goes, out/bench-region.json has every figure.',
  );
  if (signal.aborted) return 130;
  return runs.some(({failed}) => failed > 0) ? 1 : 0;
};

const measureWhile = async (
  info: ClusterInfo,
  {quick, rounds, records}: Options,
  during: NonNullable<Options['during']>,
  signal: AbortSignal,
): Promise<number> => {
  const side = await thisSide({log: () => undefined, signal});
  const sizes = quick ? {probe: 2000, seconds: 10} : {probe: 6000, seconds: 30};
  const report = await withRegion(info, side, records, (rig) =>
    measureDuring(rig, {...during, ...sizes, rounds, say, signal}),
  );
  writeFileSync(join(OUT, 'bench-while.json'), `${JSON.stringify(report, undefined, 1)}\n`);
  print(verdictLine('accepted p99', during.withinPercent, report.accept));
  print(verdictLine('applied p99', during.withinPercent, report.applied));
  if (report.failed > 0) print(`${report.failed} syncs were never accepted: NOT KEPT`);
  return report.accept.isKept && report.applied.isKept && report.failed === 0 ? 0 : 1;
};

const main = async (): Promise<number> => {
  const command = parseCommand(
    process.argv.slice(2),
    scenariosOf(SIZES.full).map(({name}) => name),
  );
  switch (command.kind) {
    case 'help':
      process.stdout.write(HELP);
      return 0;
    case 'wrong':
      for (const problem of command.problems) say(`bench: ${problem}`);
      say('Try --help.');
      return 2;
    case 'run': {
      mkdirSync(OUT, {recursive: true});
      const stop = new AbortController();
      process.once('SIGINT', () => {
        say('Stopping after what is being measured; once more ends it at once.');
        stop.abort();
      });
      const {options} = command;
      const info = readClusterInfo(OUT);
      return options.during === undefined
        ? measureAll(info, options, stop.signal)
        : measureWhile(info, options, options.during, stop.signal);
    }
  }
};

try {
  process.exitCode = await main();
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
