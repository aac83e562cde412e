/**
 * `node bench/operator-at-rest.ts`: the operator with many regions, as the bundle and with the options of its image, beside an API server of its own whose
 * pods are played. Fails when it writes or lists anything while nothing changes, or needs more memory than bench/budgets.json gives it.
 */
import {FACTS_KEY} from '@pisync/contract/facts';
import {type ChildProcess, spawn} from 'node:child_process';
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {customResourceDefinition} from '../operator/src/api/v1alpha1/crd.ts';
import {API_VERSION, KIND} from '../operator/src/api/v1alpha1/group.ts';
import {systemClock} from '../operator/src/kube/clock.ts';
import {Discovery} from '../operator/src/kube/discovery.ts';
import {startApiServer, type TestApiServer} from '../operator/src/kube/testing/api-server.ts';
import {KINDS} from '../operator/src/region/kinds.ts';
import {playedControllers} from '../operator/src/region/testing/played-controllers.ts';
import {bundle, OPERATOR, ROOT} from '../scripts/images/bundle.ts';
import budgets from './budgets.json' with {type: 'json'};

const REGIONS_PATH = `/apis/${API_VERSION}/namespaces/default/pisyncregions`;
const READY_WITHIN_MS = 600_000;
/** As often as a keeper says what it has tried. */
const FACTS_EVERY_MS = 30_000;
const EDITS = 20;
const VERSION = 'at-rest';

const forever = new AbortController().signal;
const print = (text: string): void => void process.stdout.write(`${text}\n`);
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

interface RegionObject {
  readonly metadata: {readonly name: string; readonly generation: number};
  readonly status?: {readonly phase?: string; readonly observedGeneration?: number};
}

const isReady = ({metadata, status}: RegionObject): boolean =>
  status?.phase === 'Ready' && status.observedGeneration === metadata.generation;

const send = async (
  {client}: TestApiServer,
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  body?: object,
): Promise<unknown> => {
  const contentType = method === 'PATCH' ? {contentType: 'application/merge-patch+json'} : {};
  return (await client.send({method, path, ...(body === undefined ? {} : {body}), ...contentType, signal: forever}))
    .body;
};

const createRegions = async (server: TestApiServer, count: number): Promise<void> => {
  await send(server, 'POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', customResourceDefinition());
  for (let number = 0; number < count; number++) {
    const name = `r${number}`;
    const ingress = {host: `${name}.sync.example.com`, adminHost: `${name}.admin.example.com`};
    const body = {apiVersion: API_VERSION, kind: KIND, metadata: {name}, spec: {region: name, ingress}};
    // The server serves a new kind a moment after it has taken its definition.
    for (let tries = 0; ; tries++) {
      try {
        await send(server, 'POST', REGIONS_PATH, body);
        break;
      } catch (error) {
        if (tries === 50) throw error;
        await sleep(200);
      }
    }
  }
};

const startOperator = async (server: TestApiServer, folder: string, opsPort: number): Promise<ChildProcess> => {
  await bundle(OPERATOR, folder);
  const {server: url, headers} = await server.credentials();
  const kubeconfig = join(folder, 'kubeconfig.json');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'bench', cluster: {server: url, 'insecure-skip-tls-verify': true}}],
    users: [{name: 'bench', user: {token: headers['authorization']?.replace('Bearer ', '')}}],
    contexts: [{name: 'bench', context: {cluster: 'bench', user: 'bench'}}],
    'current-context': 'bench',
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  // What the image starts, so that what is measured is what runs.
  const entrypoint = /^ENTRYPOINT (.+)$/m.exec(readFileSync(join(ROOT, OPERATOR.dockerfile), 'utf8'))?.[1] ?? '[]';
  const options = (JSON.parse(entrypoint) as readonly string[]).slice(1, -1);
  return spawn(process.execPath, [...options, join(folder, 'main.mjs')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      KUBECONFIG: kubeconfig,
      PISYNC_IMAGE_SERVICE: 'registry.example.com/pisync:1',
      PISYNC_OPS_PORT: String(opsPort),
      PISYNC_VERSION: VERSION,
    },
  });
};

/** Megabytes of memory: `VmRSS` now, `VmHWM` at most. */
const memoryMb = ({pid}: ChildProcess, field: 'VmRSS' | 'VmHWM'): number => {
  const found = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid ?? 0}/status`, 'utf8'));
  return Math.round(Number(found?.[1]) / 1000);
};

const metricsOf = async (opsPort: number): Promise<(name: string) => number> => {
  const text = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
  return (name) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
};

const main = async (): Promise<number> => {
  const {values} = parseArgs({
    options: {
      regions: {type: 'string', default: '50'},
      seconds: {type: 'string', default: '60'},
      port: {type: 'string', default: '19391'},
    },
  });
  const [count, restSeconds, opsPort] = [Number(values.regions), Number(values.seconds), Number(values.port)];
  const folder = join(ROOT, 'out/bench/operator');
  rmSync(folder, {recursive: true, force: true});
  mkdirSync(folder, {recursive: true});
  await using opened = new AsyncDisposableStack();
  const server = opened.adopt(await startApiServer(), (it) => it.stop());
  const played = playedControllers(server, new Discovery(server.client, systemClock));
  const regions = async () =>
    ((await send(server, 'GET', REGIONS_PATH)) as {readonly items: readonly RegionObject[]}).items;

  /** What every keeper does while nothing changes. */
  const tellFacts = async (): Promise<void> => {
    for (const {metadata, ...map} of await played.children(KINDS.configMap)) {
      if (!metadata.name.endsWith('-facts') || map['data'] === undefined) continue;
      const facts = {checkedAt: new Date().toISOString(), shards: []};
      const path = `/api/v1/namespaces/default/configmaps/${metadata.name}`;
      await send(server, 'PATCH', path, {data: {[FACTS_KEY]: JSON.stringify(facts)}});
    }
  };

  await createRegions(server, count);
  const operator = opened.adopt(await startOperator(server, folder, opsPort), (it) => void it.kill('SIGTERM'));
  const started = performance.now();
  for (;;) {
    const ready = (await regions()).filter(isReady).length;
    if (ready === count) break;
    if (performance.now() - started > READY_WITHIN_MS) throw new Error(`${ready} of ${count} regions are Ready`);
    await played.play();
  }
  print(`${count} regions Ready after ${((performance.now() - started) / 1000).toFixed(0)} s`);

  await tellFacts();
  await sleep(5_000);
  const before = await metricsOf(opsPort);
  const from = (await server.audit()).length;
  const until = performance.now() + restSeconds * 1000;
  while (performance.now() < until) {
    await tellFacts();
    await sleep(Math.max(0, Math.min(FACTS_EVERY_MS, until - performance.now())));
  }
  const after = await metricsOf(opsPort);
  const calls = (await server.audit())
    .slice(from)
    .filter(({userAgent, requestURI}) => userAgent === `pisync-operator/${VERSION}` && !requestURI.includes('/leases/'))
    .map(({verb, requestURI}) => `${verb} ${requestURI}`);
  const busy = calls.filter((call) => !call.startsWith('watch ') && !call.startsWith('get '));
  const grown = (name: string): number => after(name) - before(name);
  const PASS = 'controller_runtime_reconcile_time_seconds';
  const passMs = (grown(`${PASS}_sum`) / grown(`${PASS}_count`)) * 1000;
  const cpuMs = (grown('process_cpu_seconds_total') / restSeconds) * 1000;
  const rssMb = memoryMb(operator, 'VmRSS');
  print(
    `at rest for ${restSeconds} s: ${busy.length} writes and lists, ${calls.length - busy.length} gets and watches`,
  );
  for (const call of busy.slice(0, 20)) print(`  ${call}`);
  print(
    `passes: ${grown(`${PASS}_count`)} of ${passMs.toFixed(1)} ms on average; processor ${cpuMs.toFixed(1)} ms a second`,
  );
  print(
    `memory: ${rssMb} MB (at most ${memoryMb(operator, 'VmHWM')}); heap ${Math.round(after('nodejs_heap_size_used_bytes') / 1e6)} of ${Math.round(after('nodejs_heap_size_total_bytes') / 1e6)} MB, external ${Math.round(after('nodejs_external_memory_bytes') / 1e6)} MB`,
  );

  const observedMs: number[] = [];
  for (let number = 0; number < Math.min(EDITS, count); number++) {
    const path = `${REGIONS_PATH}/r${number}`;
    const edited = performance.now();
    const {metadata} = (await send(server, 'PATCH', path, {
      spec: {common: {labels: {edit: `e${number}`}}},
    })) as RegionObject;
    for (;;) {
      const {status} = (await send(server, 'GET', path)) as RegionObject;
      if (status?.observedGeneration === metadata.generation) break;
      if (performance.now() - edited > 20_000) throw new Error(`the edit of r${number} was not observed in 20 s`);
      await sleep(5);
    }
    observedMs.push(performance.now() - edited);
  }
  print(
    `from an edit of all children to observedGeneration: median ${median(observedMs).toFixed(0)} ms, at most ${Math.max(...observedMs).toFixed(0)} ms`,
  );
  const isTooBig = rssMb > budgets.operatorMemoryMb.limit;
  if (isTooBig) print(`memory is above ${budgets.operatorMemoryMb.limit} MB`);
  return busy.length > 0 || isTooBig ? 1 : 0;
};

process.exitCode = await main();
