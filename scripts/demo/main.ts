/** `make demo`: from nothing to a region in which a thousand devices synced through two kills, and a ledger that proves it. */
import {spawn} from 'node:child_process';
import {createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {openCluster, readClusterInfo, readImages, readSecret, type ClusterAccess} from './cluster-access.ts';
import {install} from './install.ts';
import {killOne, waitUntilBack, type Killed} from './kill.ts';
import {agentProgram, forwardPort, startProgram, waitForAcked} from './programs.ts';
import {waitUntilReady, waitUntilRolledOut} from './region.ts';
import {fleetReportSchema, renderReport, verdictSchema, type DemoReport} from './report.ts';

const HELP = `usage: node scripts/demo/main.ts     (\`make demo\` gets ready what it needs)

Starts the local cluster, installs the operator, applies docs/examples/region-localhost.yaml, lets 1,000 simulated devices and this machine sync while a worker
and a shard are killed, and judges what became of their batches. Writes out/demo.json. The region stays up; \`make down\` ends it.
Exit codes: 0 nothing lost; 1 the judge found something, or a step failed; 2 wrong usage.
`;

const ROOT = join(import.meta.dirname, '..', '..');
const OUT = join(ROOT, 'out');
const WORK = join(OUT, 'demo');
const REGION = 'eu';
const DEVICES = 1000;
const BATCHES = 3;
const RECORDS = 20;
/** A worker and a shard die somewhere in the middle of this. */
const SYNC_SECONDS = 30;
/** The region's policy spreads a fleet over hours after a failure; a demo has seconds. */
const BACKOFF_SCALE = 0.005;
const READY_TIMEOUT_MS = 600_000;
const BACK_TIMEOUT_MS = 120_000;
const PATIENCE_MS = 45_000;
/** Kinds of readings that any Linux has are five: four measurements make a batch of 20 records. */
const AGENT_MEASUREMENTS = 4;

const startedMs = performance.now();
const secondsSince = (fromMs: number): number => Math.round((performance.now() - fromMs) / 100) / 10;
const heading = (text: string): void => console.log(`\n==> ${text}  (${secondsSince(startedMs)} s)`);
const detail = (text: string): void => console.log(`    ${text}`);

/** Runs a program of this repository with its own progress on the screen. @throws when it fails */
const runScript = (script: string, ...args: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, 'scripts', script), ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`node scripts/${script} ${args.join(' ')} ended with ${code ?? 'a signal'}`));
    });
  });

interface Target {
  readonly url: string;
  readonly host: string;
  readonly tokenFile: string;
}

const syncAgent = async (cluster: ClusterAccess, {url, host, tokenFile}: Target): Promise<void> => {
  const log = createWriteStream(join(WORK, 'agent.log'), {flags: 'a'});
  const args = [
    '--url',
    url,
    '--host-header',
    host,
    '--enrolment-token-file',
    tokenFile,
    '--state-dir',
    join(WORK, 'agent'),
  ];
  const ledger = [
    '--ledger',
    join(WORK, 'agent.ndjson'),
    '--name',
    hostname(),
    '--timeout',
    '20',
    '--backoff-scale',
    String(BACKOFF_SCALE),
  ];
  const once = ['--once', '--measurements', String(AGENT_MEASUREMENTS), '--interval', '0.2'];
  const agent = startProgram(cluster, [...agentProgram(ROOT, 'pi'), ...args, ...ledger, ...once], (line) =>
    log.write(`${line}\n`),
  );
  const code = await agent.ended;
  log.end();
  if (code !== 0) throw new Error(`the agent on this machine could not sync; see ${join(WORK, 'agent.log')}`);
};

interface Kill extends Killed {
  readonly what: string;
  readonly backSeconds: number;
}

const killAndWatch = async (
  cluster: ClusterAccess,
  what: string,
  selector: readonly string[],
  ready: number,
): Promise<Kill> => {
  const killed = await killOne(cluster, selector);
  detail(
    `killed ${what}: ${killed.pod} (${killed.how}${killed.pid === undefined ? '' : `, process ${killed.pid} on the host`})`,
  );
  const watch = async (): Promise<number> => {
    const startMs = performance.now();
    // Kubernetes notices within a second or two; only then does "ready again" mean anything.
    await delay(2000);
    await waitUntilBack(cluster, selector, ready, PATIENCE_MS).catch(async () => {
      // The kubelet waits longer before each restart of a container that died in earlier demos; a new pod begins afresh.
      detail(`${killed.pod} is still waiting to be restarted: deleting it`);
      await cluster.kubectl('delete', 'pod', killed.pod, '--ignore-not-found', '--wait=false');
      await delay(2000);
      await waitUntilBack(cluster, selector, ready, BACK_TIMEOUT_MS);
    });
    return secondsSince(startMs);
  };
  return {...killed, what, backSeconds: await watch()};
};

const component = (name: string): readonly string[] => [
  '-l',
  `app.kubernetes.io/instance=${REGION},app.kubernetes.io/component=${name}`,
];

/** The fleet and the agent sync, and in the middle a worker and a shard die. */
const syncThroughKills = async (cluster: ClusterAccess, target: Target): Promise<readonly Kill[]> => {
  const ledger = join(WORK, 'fleet.ndjson');
  const args = ['run', '--url', target.url, '--host', target.host, '--enrolment-token-file', target.tokenFile];
  const size = ['--devices', String(DEVICES), '--batches', String(BATCHES), '--records', String(RECORDS)];
  const pace = [
    '--duration',
    String(SYNC_SECONDS),
    '--backoff-scale',
    String(BACKOFF_SCALE),
    '--deadline',
    '180',
    '--timeout',
    '15',
  ];
  const files = ['--ledger', ledger, '--report', join(WORK, 'fleet.json')];
  const log = createWriteStream(join(WORK, 'fleet.log'));
  const fleet = startProgram(cluster, [...agentProgram(ROOT, 'fleet'), ...args, ...size, ...pace, ...files], (line) => {
    log.write(`${line}\n`);
    if (/^(enrolled|due) /.test(line)) detail(line);
  });
  const stop = (): void => fleet.kill();
  process.once('SIGINT', stop);
  try {
    await waitForAcked(ledger, Math.round((DEVICES * BATCHES) / 3), fleet);
    const [worker, shard] = await Promise.all([
      killAndWatch(cluster, 'a worker', component('worker'), 1),
      killAndWatch(cluster, 'shard 1', ['--field-selector', 'metadata.name=' + REGION + '-pg-1-0'], 1),
      syncAgent(cluster, target),
    ]);
    const code = await fleet.ended;
    if (code !== 0) detail(`the fleet ended with code ${code}; its log is ${join(WORK, 'fleet.log')}`);
    return [worker, shard];
  } finally {
    process.removeListener('SIGINT', stop);
    log.end();
  }
};

const judge = async (cluster: ClusterAccess, shards: readonly number[]): Promise<number> => {
  const forwards = await Promise.all(shards.map((id) => forwardPort(cluster, `pod/${REGION}-pg-${id}-0`, 5432)));
  const shardsFile = join(WORK, 'shards');
  try {
    const urls = await Promise.all(
      shards.map(async (id, index) => {
        const [user, password] = await Promise.all(
          (['username', 'password'] as const).map((key) => readSecret(cluster, `${REGION}-pg-${id}`, key)),
        );
        const port = forwards[index]?.port ?? 0;
        return `postgres://${encodeURIComponent(user ?? '')}:${encodeURIComponent(password ?? '')}@127.0.0.1:${port}/pisync`;
      }),
    );
    writeFileSync(shardsFile, urls.join('\n'), {mode: 0o600});
    const ledgers = ['--ledger', join(WORK, 'fleet.ndjson'), '--ledger', join(WORK, 'agent.ndjson')];
    const args = [
      'judge',
      ...ledgers,
      '--shards-file',
      shardsFile,
      '--wait',
      '90',
      '--report',
      join(WORK, 'verdict.json'),
    ];
    return await startProgram(cluster, [...agentProgram(ROOT, 'fleet'), ...args], (line) => {
      if (!line.startsWith('{') && line.trim() !== '') detail(line);
    }).ended;
  } finally {
    for (const forward of forwards) forward.close();
    rmSync(shardsFile, {force: true});
  }
};

const readJson = (name: string): unknown => JSON.parse(readFileSync(join(WORK, name), 'utf8'));

const main = async (): Promise<number> => {
  rmSync(WORK, {recursive: true, force: true});
  mkdirSync(WORK, {recursive: true});

  heading('A Kubernetes cluster on this machine');
  await runScript('cluster/main.ts', 'up');
  heading('Container images');
  await runScript('images/main.ts', 'build');
  await runScript('cluster/main.ts', 'load-images');
  const cluster = openCluster(readClusterInfo(OUT));

  heading('helm upgrade --install pisync charts/pisync');
  await install(cluster, ROOT);

  heading('kubectl apply -f docs/examples/region-localhost.yaml');
  const appliedMs = performance.now();
  await cluster.kubectl('apply', '-f', join(ROOT, 'docs', 'examples', 'region-localhost.yaml'));
  const services = ['device-api', 'admin-api', 'worker', 'keeper'].map((name) => `${REGION}-${name}`);
  await waitUntilReady(cluster, REGION, READY_TIMEOUT_MS, detail);
  // A region that was there before is Ready from the start, and then rolled to this checkout's images.
  await waitUntilRolledOut(cluster, services, readImages(OUT).service, READY_TIMEOUT_MS);
  const region = await waitUntilReady(cluster, REGION, READY_TIMEOUT_MS, () => undefined);
  const readySeconds = secondsSince(appliedMs);
  detail(`Ready ${readySeconds} s after apply`);

  const tokenFile = join(WORK, 'enrolment-token');
  writeFileSync(tokenFile, await readSecret(cluster, `${REGION}-bootstrap`, 'enrolment-token'), {mode: 0o600});
  const {host, adminHost} = region.spec.ingress;
  const target: Target = {url: cluster.info.ingress.http, host, tokenFile};

  heading('This machine syncs as a device');
  await syncAgent(cluster, target);
  const firstSyncSeconds = secondsSince(appliedMs);

  heading(`${DEVICES} simulated devices sync ${BATCHES} times; a worker and a shard are killed in the middle`);
  const kills = await syncThroughKills(cluster, target);
  await syncAgent(cluster, target);

  heading('The judge compares the ledgers with the shards');
  const shards = region.status.shards.map(({id}) => id);
  const judgeCode = await judge(cluster, shards.length === 0 ? [0, 1] : shards);

  const fleet = fleetReportSchema.parse(readJson('fleet.json'));
  const verdict = verdictSchema.parse(readJson('verdict.json'));
  const report: DemoReport = {
    kubernetes: cluster.info.serverVersion,
    cluster: cluster.info.kind,
    ok: judgeCode === 0 && verdict.ok && fleet.unfinished === 0 && verdict.applied === verdict.acked,
    readySeconds,
    firstSyncSeconds,
    totalSeconds: secondsSince(startedMs),
    devices: verdict.devices,
    batches: verdict.batches,
    records: verdict.records,
    acked: verdict.acked,
    applied: verdict.applied,
    lost: verdict.lost,
    duplicated: verdict.duplicated,
    unknownApplied: verdict.unknownApplied,
    retries: fleet.retries,
    p50Ms: fleet.request.p50Ms,
    p99Ms: fleet.request.p99Ms,
    acceptP50Ms: fleet.accept.p50Ms,
    acceptP99Ms: fleet.accept.p99Ms,
    acceptMaxMs: fleet.accept.maxMs,
    kills: kills.map(({what, pod, how, backSeconds}) => ({what, pod, how, backSeconds})),
  };
  writeFileSync(join(OUT, 'demo.json'), `${JSON.stringify(report, null, 2)}\n`);
  console.log(renderReport(report, {forward: cluster.info.forward.http, adminHost}));
  return report.ok ? 0 : 1;
};

const [flag] = process.argv.slice(2);
try {
  if (flag === undefined) process.exitCode = await main();
  else {
    process.stdout.write(HELP);
    process.exitCode = flag === '--help' ? 0 : 2;
  }
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
