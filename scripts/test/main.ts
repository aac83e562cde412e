import {spawn} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {chosenSuites, type Suite} from './choice.ts';
import {closingLine, scenariosOf, sum, tallyOf, type JestReport, type Tally} from './results.ts';
import {serverAddresses, serverManifests, SERVERS_NAMESPACE} from './servers.ts';

/** `make test`: check and unit tests, then integration tests against real servers, then end-to-end tests, all but the first on the local cluster. */
const HELP = `usage: node scripts/test/main.ts [--only check,integration,e2e] [--faults] [--match PATTERN] [--down]

  --only     run these suites only (comma between them)
  --faults   run the fault scenarios of the end-to-end suite only
  --match    run the test files whose path matches this pattern only
  --down     take the local cluster down at the end (default where CI=true)

Results: out/test/<suite>.json, out/e2e.json. The last line printed is "N passed, N failed".
`;

const root = join(import.meta.dirname, '../..');
const out = join(root, 'out');
const results = join(out, 'test');

/** Runs a program with its output going straight to the terminal. @returns its exit code */
const runShown = (argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    if (program === undefined) throw new Error('no program to run');
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['pipe', 'inherit', 'inherit'],
      env: {...process.env, ...env},
    });
    child.stdin.end();
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 137));
  });

const runPrinted = (argv: readonly string[], stdin = ''): Promise<string> =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    if (program === undefined) throw new Error('no program to run');
    const child = spawn(program, args, {cwd: root, stdio: ['pipe', 'pipe', 'inherit']});
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.stdin.end(stdin);
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${argv.join(' ')} ended with ${code ?? 'a signal'}`)),
    );
  });

const heading = (text: string): void => console.log(`\n== ${text}`);

/** Fields of out/cluster.json that are used here; scripts/cluster writes it. */
interface ClusterFile {
  readonly exec: readonly string[];
  readonly binDir?: string;
}
const readOut = (name: string): unknown => JSON.parse(readFileSync(join(out, name), 'utf8'));

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
  return code !== 0 && tally.failed === 0 ? {...tally, failed: 1} : tally;
}

async function integration(cluster: ClusterFile, match: readonly string[]): Promise<Tally> {
  const kubectl = [...cluster.exec, 'kubectl'];
  const images = readOut('images.json') as {
    readonly postgres: string;
    readonly rabbitmq: string;
    readonly redis: string;
  };
  await runPrinted([...kubectl, 'apply', '-f', '-'], serverManifests(images));
  await runPrinted([...kubectl, '-n', SERVERS_NAMESPACE, 'rollout', 'status', 'deployment', '--timeout=120s']);
  const address = await runPrinted([
    ...kubectl,
    'get',
    'nodes',
    '-o',
    'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}',
  ]);
  const {ensureBinaries} = await import('../cluster/binaries.ts');
  const {binDir} = await ensureBinaries((line) => console.log(line));
  try {
    return await jest('integration', cluster, {...serverAddresses(address.trim()), PISYNC_TEST_KUBE_BIN: binDir}, [
      '--maxWorkers=2',
      ...match,
    ]);
  } finally {
    await runPrinted([...kubectl, 'delete', 'namespace', SERVERS_NAMESPACE, '--wait=false']);
  }
}

async function main(): Promise<number> {
  const {values} = parseArgs({
    options: {
      only: {type: 'string'},
      faults: {type: 'boolean', default: false},
      match: {type: 'string'},
      down: {type: 'boolean', default: process.env['CI'] === 'true'},
      help: {type: 'boolean', default: false},
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const suites = chosenSuites(values.faults ? 'e2e' : values.only);
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
      const unit = existsSync(file)
        ? tallyOf(JSON.parse(readFileSync(file, 'utf8')) as JestReport)
        : {passed: 0, failed: 0};
      tallies.push(code !== 0 && unit.failed === 0 ? {...unit, failed: 1} : unit);
    }
    if (suites.includes('integration') || suites.includes('e2e')) cluster = await bringUp();
    if (suites.includes('integration') && cluster !== undefined) tallies.push(await integration(cluster, match));
    if (suites.includes('e2e') && cluster !== undefined) {
      // One after the other: they share the operator, and each would see the other's faults.
      tallies.push(
        await jest('e2e', cluster, {}, [
          '--runInBand',
          '--testSequencer=./test/e2e/sequencer.mjs',
          ...(values.faults ? ['faults'] : match),
        ]),
      );
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    tallies.push({passed: 0, failed: 1});
  } finally {
    if (values.down && cluster !== undefined) await runShown([process.execPath, 'scripts/cluster/main.ts', 'down']);
  }
  const total = sum(tallies);
  console.log(`\n${Math.round((performance.now() - started) / 1000)} s; results in out/test and out/e2e.json`);
  console.log(closingLine(total));
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

process.exitCode = await main();
