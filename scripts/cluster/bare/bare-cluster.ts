import {existsSync, mkdirSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {lockOwner, withLock} from '../../terminal/lock.ts';
import type {StepContext} from '../../terminal/steps.ts';
import {runAttached} from '../attached.ts';
import type {Cluster, ImageArchive, Trouble} from '../cluster.ts';
import {removeClusterFile, writeClusterFile} from '../cluster-file.ts';
import {parseServerVersion} from '../kubectl-output.ts';
import {Refusal} from '../refusal.ts';
import {outOf, type Settings} from '../settings.ts';
import {nodesReady} from './addons.ts';
import {cgroupTree} from './cgroups.ts';
import {removeEverything} from './down.ts';
import {assertPortIsFree} from './forward.ts';
import {kubectl, kubectlSucceeds} from './kubectl.ts';
import {CONTROL_PLANE, files, folders, INGRESS_PORTS, LOCK_FILE, network, nodesOf} from './layout.ts';
import {leftovers} from './leftovers.ts';
import {loadIntoNodes} from './load-images.ts';
import {cutPower, startMachine} from './machines.ts';
import {heal, isPartitioned, partition} from './network.ts';
import {isAlive} from '../../terminal/processes.ts';
import {startCluster} from './start.ts';
import {bootId, judge, readState, updateState, type State, type Verdict} from './state.ts';

/** A real Kubernetes without Docker: every machine is a set of namespaces. Needs root. */
export function bareCluster(settings: Settings, say: (text: string) => void): Cluster {
  const quiet: StepContext = {log: () => undefined, signal: new AbortController().signal};
  const look = (): Verdict => judge(readState(), {owner: settings.checkout, bootId: bootId(), isAlive}, CONTROL_PLANE);
  const locked = <T>(work: () => Promise<T>): Promise<T> => withLock(LOCK_FILE, {log: say}, work);

  const running = (): State => {
    const verdict = look();
    switch (verdict.kind) {
      case 'up':
      case 'partly-up':
        return verdict.state;
      case 'foreign':
        throw foreign(verdict.state);
      case 'absent':
        throw new Refusal('There is no cluster: `make up` makes one.');
      case 'dead':
        throw new Refusal(`The cluster does not run, because ${verdict.why}: \`make up\` cleans and makes a new one.`);
    }
  };

  const start = async (): Promise<number> => {
    await assertPortIsFree(settings.ingressPort, 'PISYNC_INGRESS_PORT');
    await assertPortIsFree(settings.ingressTlsPort, 'PISYNC_INGRESS_TLS_PORT');
    const code = await startCluster(settings);
    if (code === 130 || code === 143) {
      say('Taking down what was started');
      await removeEverything(readState(), quiet);
    }
    if (code !== 0) return code;
    const serverVersion = parseServerVersion(await kubectl(['version', '--output=json'], quiet));
    const state = updateState((before) => ({...before, phase: 'up', serverVersion}));
    publish(settings, state);
    say(describe(state));
    return 0;
  };

  return {
    up: () =>
      locked(async () => {
        const verdict = look();
        switch (verdict.kind) {
          case 'absent':
            return start();
          case 'foreign':
            throw foreign(verdict.state);
          case 'dead':
            say(`Cleaning up a cluster of ${verdict.state.owner}: ${verdict.why}`);
            await removeEverything(verdict.state, quiet);
            removeClusterFile(outOf(verdict.state.owner));
            return start();
          case 'partly-up':
            for (const node of verdict.down) await powerOn(node, say);
            await nodesReady(nodesOf(verdict.state.nodes), quiet);
            break;
          case 'up':
            break;
        }
        if (verdict.state.nodes !== settings.nodes)
          say(`It has ${verdict.state.nodes} nodes, not ${settings.nodes}: \`make down\` first to change that.`);
        if (!(await kubectlSucceeds(['get', '--raw', '/readyz'])))
          throw new Error(
            `the API server of the running cluster does not answer: see ${folders.logs}, or start anew with \`make down up\``,
          );
        publish(settings, verdict.state);
        say(`Already up. ${describe(verdict.state)}`);
        return 0;
      }),

    down: ({force}) =>
      locked(async () => {
        const verdict = look();
        if (verdict.kind === 'foreign' && !(force && !existsSync(verdict.state.owner))) throw foreign(verdict.state);
        const state = verdict.kind === 'absent' ? undefined : verdict.state;
        const started = performance.now();
        await removeEverything(state, {...quiet, log: say});
        removeClusterFile(outOf(state?.owner ?? settings.checkout));
        const sameBoot = state?.bootId === bootId();
        const left = leftovers({sysctls: sameBoot ? state.sysctls : {}, createdFolders: state?.createdFolders ?? []});
        left.forEach((what) => say(`left behind: ${what}`));
        if (left.length === 0)
          say(`Down in ${((performance.now() - started) / 1000).toFixed(1)} s, nothing left behind`);
        return left.length === 0 ? 0 : 1;
      }),

    status: async () => {
      const busy = lockOwner(LOCK_FILE);
      if (busy !== undefined) {
        say(`being changed by process ${busy}`);
        return 1;
      }
      const verdict = look();
      if (verdict.kind === 'foreign') throw foreign(verdict.state);
      if (verdict.kind === 'dead') {
        say(`dead: ${verdict.why}; \`make up\` or \`make down\` cleans`);
        return 1;
      }
      if (verdict.kind === 'absent') {
        say('down');
        leftovers({sysctls: {}, createdFolders: []}).forEach((what) => say(`left behind: ${what}`));
        return 1;
      }
      say(describe(verdict.state));
      for (const {name} of nodesOf(verdict.state.nodes)) {
        const power = verdict.kind === 'partly-up' && verdict.down.includes(name) ? 'off' : 'on';
        say(`  ${name}: power ${power}${(await isPartitioned(name)) ? ', partitioned' : ''}`);
      }
      const code = await runAttached([files.enter, 'kubectl', 'get', 'nodes', '--output=wide'], process.env);
      return verdict.kind === 'up' ? code : 1;
    },

    logs: async (component) => {
      running();
      const names = readdirSync(folders.logs)
        .filter((name) => name.endsWith('.log'))
        .map((name) => name.slice(0, -'.log'.length));
      if (component === undefined) {
        names.forEach(say);
        return 0;
      }
      const wanted = names.filter((name) => name === component || name.endsWith(`-${component}`));
      if (wanted.length === 0) throw new Refusal(`No component ${component} has a log. There are: ${names.join(' ')}`);
      return runAttached(
        ['tail', '-n', '100', ...wanted.map((name) => join(folders.logs, `${name}.log`))],
        process.env,
      );
    },

    exec: (argv) => {
      running();
      return runAttached([files.enter, ...argv], process.env);
    },

    loadImages: (images: readonly ImageArchive[]) =>
      locked(() => {
        const state = running();
        const nodes = nodesOf(state.nodes).filter(({name}) => isOn(state, name));
        return loadIntoNodes(nodes, state, images, join(settings.out, 'logs', 'load-images'));
      }),

    trouble: (what: Trouble, node: string) =>
      locked(async () => {
        const state = running();
        const names = nodesOf(state.nodes).map(({name}) => name);
        if (!names.includes(node)) throw new Refusal(`There is no node ${node}, only ${names.join(' ')}.`);
        switch (what) {
          case 'power-off':
            await cutPower(node, cgroupTree());
            break;
          case 'power-on':
            if (isOn(state, node)) say(`${node} is on already`);
            else await powerOn(node, say);
            break;
          case 'partition':
            await partition(node, quiet);
            break;
          case 'heal':
            await heal(node, quiet);
            break;
        }
        return 0;
      }),
  };
}

const isOn = (state: State, machine: string): boolean => {
  const first = state.machines[machine];
  return first !== undefined && isAlive(first);
};

async function powerOn(node: string, say: (text: string) => void): Promise<void> {
  say(`Powering on ${node}`);
  const tree = cgroupTree();
  await cutPower(node, tree); // what a machine that died by itself has left
  const first = await startMachine(node, tree);
  updateState((state) => ({...state, machines: {...state.machines, [node]: first}}));
}

const foreign = (state: State): Refusal =>
  new Refusal(
    existsSync(state.owner)
      ? `A cluster of another checkout is running: ${state.owner}. There can be one on a machine: use that checkout, or run \`make down\` in it first.`
      : `A cluster is running whose checkout ${state.owner} is gone. End it with: node scripts/cluster/main.ts down --force`,
  );

function publish(settings: Settings, state: State): void {
  mkdirSync(settings.out, {recursive: true});
  writeClusterFile(settings.out, {
    kind: 'bare',
    kubeconfig: files.kubeconfig,
    serverVersion: state.serverVersion ?? 'unknown',
    ingress: {
      http: `http://${network.controlPlane}:${INGRESS_PORTS.http}`,
      https: `https://${network.controlPlane}:${INGRESS_PORTS.https}`,
    },
    forward: {http: `http://127.0.0.1:${state.ingressPort}`, https: `https://127.0.0.1:${state.ingressTlsPort}`},
    exec: [files.enter],
    nodes: nodesOf(state.nodes).map(({name}) => name),
    auditLog: files.auditLog,
  });
}

const describe = (state: State): string =>
  `Kubernetes ${state.serverVersion ?? ''} with ${state.nodes} node${state.nodes === 1 ? '' : 's'}; ingress on http://127.0.0.1:${state.ingressPort}; ` +
  '`node scripts/cluster/main.ts shell` opens a shell with kubectl and helm.';
