import {runCommand} from '../../terminal/command.ts';
import {runSteps, type StepContext} from '../../terminal/steps.ts';
import type {ImageArchive} from '../cluster.ts';
import type {Node} from './layout.ts';
import type {State} from './state.ts';

/** Imports the archives into every node's containerd, all nodes at once; what a node has already is skipped. */
export function loadIntoNodes(
  nodes: readonly Node[],
  state: State,
  images: readonly ImageArchive[],
  logFolder: string,
): Promise<number> {
  const steps = nodes.map((node) => ({
    name: `images into ${node.name}`,
    run: async (context: StepContext): Promise<void> => {
      const pid = state.machines[node.name]?.pid;
      if (pid === undefined) throw new Error(`node ${node.name} is not running`);
      const ctr = (...args: string[]): Promise<string> =>
        runCommand(
          ['nsenter', `--target=${pid}`, '--mount', '--pid', 'ctr', '--namespace', 'k8s.io', 'images', ...args],
          context,
        );
      const there = new Set((await ctr('ls', '--quiet')).split('\n'));
      for (const {image, archive} of images.filter(({image: name}) => !there.has(name))) {
        context.log(`importing ${image}`);
        await ctr('import', archive);
      }
    },
  }));
  return runSteps(steps, {logFolder});
}
