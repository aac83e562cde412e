/**
 * Makes a checkout ready on a machine that has nothing but git, make and Node.js. Runs before `npm ci`: this file and all that it imports may use
 * nothing from npm.
 */
import {existsSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {getuid} from 'node:process';
import {cachedBinaries, ensureBinaries} from '../cluster/binaries.ts';
import {chooseCluster} from '../cluster/choose.ts';
import {ensureHostPackages} from '../cluster/host-packages.ts';
import {readSettings} from '../cluster/settings.ts';
import {BASE_IMAGES, ensureBaseImage} from '../images/base-images.ts';
import {runCommand, succeeds} from '../terminal/command.ts';
import {runSteps, type Step} from '../terminal/steps.ts';
import {packagesInstalled} from './packages.ts';

const HELP = `usage: main.ts packages|cluster

  packages   install the npm packages that package-lock.json names
  cluster    that, and what a local cluster without Docker is made of: Debian packages, Kubernetes' binaries, base images

What is there already is not made again.
`;

const root = join(import.meta.dirname, '..', '..');

const PACKAGES: Step = {
  name: 'npm packages',
  async run(context) {
    await runCommand(['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=http'], {
      ...context,
      cwd: root,
      // npm starts the node that is first on the PATH.
      env: {PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`},
    });
  },
};

const HOST_PACKAGES: Step = {
  name: 'Debian packages',
  run: (context) => ensureHostPackages(context, context.say),
};

const BINARIES: Step = {
  name: 'Kubernetes binaries',
  needs: [HOST_PACKAGES.name],
  async run({log, signal}) {
    await ensureBinaries(log, signal);
  },
};

/** What has to be made for a cluster of this machine's kind; where Docker or a cluster is, nothing. */
async function clusterSteps(): Promise<readonly Step[]> {
  const settings = readSettings(process.env, root);
  const asksDocker = settings.kubeconfig === undefined && settings.kind !== 'bare';
  const choice = chooseCluster({
    kubeconfig: settings.kubeconfig,
    wanted: settings.kind,
    platform: process.platform,
    isRoot: getuid?.() === 0,
    dockerAnswers: asksDocker && (await succeeds(['docker', 'info'])),
  });
  if (choice.kind === 'none') throw new Error(choice.why);
  if (choice.kind !== 'bare') return [];
  const missing: Step[] = BASE_IMAGES.filter(({archive}) => !existsSync(archive)).map((base) => ({
    name: `image ${base.name}`,
    needs: [HOST_PACKAGES.name],
    run: async (context) => {
      await ensureBaseImage(base, context);
    },
  }));
  if (cachedBinaries() === undefined) missing.push(BINARIES);
  return missing.length === 0 ? [] : [HOST_PACKAGES, ...missing];
}

const [what] = process.argv.slice(2);
if (what === 'packages' || what === 'cluster') {
  try {
    const steps = [...(packagesInstalled(root) ? [] : [PACKAGES]), ...(what === 'cluster' ? await clusterSteps() : [])];
    if (steps.length > 0) {
      process.stderr.write('Getting ready; the first time takes some minutes, later there is nothing to do\n');
      process.exitCode = await runSteps(steps, {logFolder: join(root, 'out', 'logs', 'bootstrap')});
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
} else {
  process.stdout.write(HELP);
  process.exitCode = what === '--help' ? 0 : 2;
}
