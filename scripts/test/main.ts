import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {BROWSER, ensureHostPackages} from '../cluster/host-packages.ts';
import {chosenSuites, type Suite} from './choice.ts';
import {withPostgresTree} from './postgres-tree.ts';
import {out, readOut, runShown} from './programs.ts';
import {closingLine, oneTally, scenariosOf, sum, tallyOf, type JestReport, type Tally} from './results.ts';
import {withServers} from './servers-up.ts';

/**
 * `make test`: check and unit tests, then integration tests against real servers, then end-to-end tests with those of the pages beside them. Integration and
 * end-to-end tests need the local cluster.
 */
const HELP = `usage: node scripts/test/main.ts [--only check,integration,e2e,browser] [--faults] [--match PATTERN] [--down]
       node scripts/test/main.ts --bench [--quick] [--no-budget]
       node scripts/test/main.ts --bench --region [-- options of bench/region/main.ts]

  --only     run these suites only (comma between them); browser: the pages of the dashboard, without a cluster
  --faults   run the fault scenarios of the end-to-end suite only, also those that take minutes (faults-*.e2e.test.ts), and all hostile and generated calls
  --match    run the test files whose path matches this pattern only
  --bench    run no tests but the benchmark; --quick takes about two minutes, --no-budget accepts any result
  --region   the benchmark of a whole region
  --down     take the local cluster down at the end (default where CI=true)

Where PISYNC_TEST_KUBE_BIN names a folder with etcd and kube-apiserver, none are built for the integration tests and the benchmark.
Results: out/test/<suite>.json, out/e2e.json. The last line printed is "N passed, N failed".
`;

const results = join(out, 'test');

/** Of the end-to-end files those that run only when they are asked for: they wait for what takes its time, such as a node that is away or every field of a region. */
const LONG_FAULTS = '/faults-[a-z]+\\.e2e';

/** Of the integration tests those that do more when they are asked to: calls, and minutes of one device, that mean no good, and calls made of the OpenAPI document. */
const HOSTILE = ['test/hostile', 'generated-calls'];
const HOSTILE_ENV = {
  PISYNC_TEST_HOSTILE_CALLS: '10000',
  PISYNC_TEST_HOSTILE_MINUTES: '10',
  PISYNC_TEST_GENERATED_CALLS: '20000',
};

const heading = (text: string): void => console.log(`\n== ${text}`);

/** Fields of out/cluster.json that are used here; scripts/cluster writes it. */
interface ClusterFile {
  readonly exec: readonly string[];
}

async function bringUp(): Promise<ClusterFile> {
  heading('cluster and images');
  for (const argv of [
    ['scripts/cluster/main.ts', 'up'],
    ['scripts/images/main.ts', 'build'],
    ['scripts/cluster/main.ts', 'load-images'],
  ]) {
    const code = await runShown([process.execPath, ...argv]);
    if (code !== 0) throw new Error(`node ${argv.join(' ')} ended with ${code}`);
  }
  return readOut('cluster.json') as ClusterFile;
}

/** A cache that is full hides a lock that nobody else can install from. */
async function installAfresh(): Promise<Tally> {
  const code = await runShown([process.execPath, 'scripts/lock/main.ts', 'try']);
  return oneTally(code === 0, 'install on a fresh machine');
}

async function jest(
  suite: Suite,
  cluster: ClusterFile | undefined,
  env: Readonly<Record<string, string>>,
  extra: readonly string[],
): Promise<Tally> {
  heading(`${suite} tests`);
  const file = join(results, `${suite}.json`);
  rmSync(file, {force: true});
  const code = await runShown(
    [
      ...(cluster?.exec ?? []),
      process.execPath,
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      '--selectProjects',
      suite,
      '--json',
      `--outputFile=${file}`,
      ...extra,
    ],
    env,
  );
  if (!existsSync(file)) throw new Error(`jest ended with ${code} and wrote no results for the ${suite} tests`);
  const report = JSON.parse(readFileSync(file, 'utf8')) as JestReport;
  if (suite === 'e2e')
    writeFileSync(join(out, 'e2e.json'), `${JSON.stringify({scenarios: scenariosOf(report)}, undefined, 2)}\n`);
  const tally = tallyOf(report);
  return code !== 0 && tally.failed === 0
    ? sum([tally, oneTally(false, `jest of the ${suite} tests ended with ${code}`)])
    : tally;
}

/** The browser is the one thing that only tests need, so it is installed only here. */
async function ensureBrowser(): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  await ensureHostPackages({log: () => undefined, signal: stop.signal}, (text) => console.log(text), [BROWSER]);
}

/** A folder with `etcd` and `kube-apiserver`: the caller's, else one that is made. */
async function testServers(): Promise<{readonly PISYNC_TEST_KUBE_BIN: string}> {
  const given = process.env['PISYNC_TEST_KUBE_BIN'];
  if (given !== undefined) return {PISYNC_TEST_KUBE_BIN: given};
  const {ensureTestServers} = await import('../cluster/binaries.ts');
  return {PISYNC_TEST_KUBE_BIN: await ensureTestServers((line) => console.log(line))};
}

async function integration(cluster: ClusterFile, match: readonly string[]): Promise<Tally> {
  const kube = await testServers();
  return withServers(cluster.exec, 'fast', (servers) =>
    withPostgresTree((postgres) =>
      jest('integration', cluster, {...servers, ...kube, ...postgres}, ['--maxWorkers=3', ...match]),
    ),
  );
}

/** By themselves, because they measure how much the innocent notice. */
async function hostile(cluster: ClusterFile, files: readonly string[]): Promise<Tally> {
  return withServers(cluster.exec, 'durable', (servers) =>
    jest('integration', cluster, {...servers, ...HOSTILE_ENV}, ['--runInBand', ...files]),
  );
}

/** @returns the exit code of the benchmark; 1 also means that a limit of bench/budgets.json was not kept */
async function bench(options: readonly string[]): Promise<number> {
  const {exec} = await bringUp();
  heading('operator with 50 regions at rest');
  const atRest = await runShown([...exec, process.execPath, 'bench/operator-at-rest.ts'], await testServers());
  heading('benchmark');
  const speed = await withServers(exec, 'durable', (servers) =>
    runShown([...exec, process.execPath, 'bench/main.ts', ...options], servers),
  );
  return Math.max(atRest, speed);
}

/** @returns its exit code */
async function benchRegion(options: readonly string[]): Promise<number> {
  if (!options.includes('--help')) {
    await bringUp();
    heading('benchmark of a region');
  }
  return runShown([process.execPath, 'bench/region/main.ts', ...options]);
}

async function main(): Promise<number> {
  const {values, positionals} = parseArgs({
    allowPositionals: true,
    options: {
      only: {type: 'string'},
      faults: {type: 'boolean', default: false},
      match: {type: 'string'},
      bench: {type: 'boolean', default: false},
      region: {type: 'boolean', default: false},
      quick: {type: 'boolean', default: false},
      'no-budget': {type: 'boolean', default: false},
      down: {type: 'boolean', default: process.env['CI'] === 'true'},
      help: {type: 'boolean', default: false},
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.region) {
    if (!values.bench || values.quick || values['no-budget'])
      throw new Error('--region goes with --bench; what it is to do stands behind "--"; see --help');
    return benchRegion(positionals);
  }
  if (positionals.length > 0) throw new Error(`${positionals.join(' ')}: nobody asked for this; see --help`);
  if (values.bench) {
    return bench([...(values.quick ? ['--quick'] : []), ...(values['no-budget'] ? ['--no-budget'] : [])]);
  }
  const suites = chosenSuites(values.faults ? 'e2e' : values.only);
  const needsCluster = suites.includes('integration') || suites.includes('e2e');
  mkdirSync(results, {recursive: true});
  const match = values.match === undefined ? [] : [values.match];
  const tallies: Tally[] = [];
  const started = performance.now();
  let cluster: ClusterFile | undefined;
  try {
    if (suites.includes('check')) {
      heading('check');
      const file = join(results, 'unit.json');
      rmSync(file, {force: true});
      const code = await runShown(['make', '--no-print-directory', 'check', `JEST_JSON=${file}`]);
      const unit = existsSync(file) ? tallyOf(JSON.parse(readFileSync(file, 'utf8')) as JestReport) : undefined;
      if (unit !== undefined) tallies.push(unit);
      if (code !== 0 && (unit?.failed ?? 0) === 0) tallies.push(oneTally(false, `make check ended with ${code}`));
    }
    const afresh = suites.includes('check') ? installAfresh() : undefined;
    if (needsCluster) cluster = await bringUp();
    if (afresh !== undefined) tallies.push(await afresh);
    if (suites.includes('integration') && cluster !== undefined) tallies.push(await integration(cluster, match));
    // With --match, where that is what is meant.
    const ofHostile = values.faults ? HOSTILE.filter((files) => files.includes(values.match ?? files)) : [];
    const isHostile = ofHostile.length > 0;
    if (isHostile && cluster !== undefined) tallies.push(await hostile(cluster, ofHostile));
    const isEndToEnd = suites.includes('e2e') && !(isHostile && values.match !== undefined);
    const arePages = suites.includes('browser');
    if (isEndToEnd || arePages) {
      if (process.env['PISYNC_TEST_CHROMIUM'] === undefined) await ensureBrowser();
      // Most of the time a test of the cluster waits for it.
      const pages = arePages ? [jest('browser', undefined, {}, ['--runInBand', ...match])] : [];
      // One after the other: they share the operator, and each would see the other's faults.
      const endToEnd = isEndToEnd
        ? [
            jest('e2e', cluster, {}, [
              '--runInBand',
              '--testSequencer=./test/e2e/sequencer.mjs',
              ...(values.faults || values.match !== undefined ? [] : [`--testPathIgnorePatterns=${LONG_FAULTS}`]),
              ...(values.faults && values.match === undefined ? ['faults'] : match),
            ]),
          ]
        : [];
      tallies.push(...(await Promise.all([...endToEnd, ...pages])));
    }
  } catch (error) {
    tallies.push(oneTally(false, error instanceof Error ? error.message : String(error)));
  } finally {
    // One that came up only half has to go too.
    if (values.down && needsCluster) await runShown([process.execPath, 'scripts/cluster/main.ts', 'down']);
  }
  const total = sum(tallies);
  if (total.failures.length > 0) {
    // Once more, because what a test printed may be thousands of lines above.
    heading('what failed');
    for (const failure of total.failures) console.log(`\n${failure}`);
  }
  console.log(`\n${Math.round((performance.now() - started) / 1000)} s; results in out/test and out/e2e.json`);
  console.log(closingLine(total));
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

process.exitCode = await main();
