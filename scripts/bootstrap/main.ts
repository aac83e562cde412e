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
import {missingFor, type Purpose} from './missing.ts';
import {packagesInstalled} from './packages.ts';

const HELP = `usage: main.ts packages|images|cluster

  packages   install the npm packages that package-lock.json names
  images     that, and what images are made of without Docker: Debian packages, base images
  cluster    that, and what else a local cluster without Docker is made of: more Debian packages, Kubernetes' binaries

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

const DEBIAN = 'Debian packages';

const BINARIES: Step = {
  name: 'Kubernetes binaries',
  needs: [DEBIAN],
  async run({log, signal}) {
    await ensureBinaries(log, signal);
  },
};

/** What has to be made on this machine; where Docker or a cluster is, nothing. */
async function stepsFor(purpose: Purpose): Promise<readonly Step[]> {
  const settings = readSettings(process.env, root);
  // A cluster that there is already spares a local one, not the images.
  const kubeconfig = purpose === 'cluster' ? settings.kubeconfig : undefined;
  const asksDocker = kubeconfig === undefined && settings.kind !== 'bare';
  const choice = chooseCluster({
    kubeconfig,
    wanted: settings.kind,
    platform: process.platform,
    isRoot: getuid?.() === 0,
    dockerAnswers: asksDocker && (await succeeds(['docker', 'info'])),
  });
  const {packages, baseImages, binaries} = missingFor(purpose, choice, {
    baseImages: BASE_IMAGES.filter(({archive}) => existsSync(archive)),
    binaries: cachedBinaries() !== undefined,
  });
  const steps: readonly Step[] = [
    ...baseImages.map((base): Step => ({
      name: `image ${base.name}`,
      needs: [DEBIAN],
      run: async (context) => {
        await ensureBaseImage(base, context);
      },
    })),
    ...(binaries ? [BINARIES] : []),
  ];
  const debian: Step = {name: DEBIAN, run: (context) => ensureHostPackages(context, context.say, packages)};
  return steps.length === 0 ? [] : [debian, ...steps];
}

const [what] = process.argv.slice(2);
if (what === 'packages' || what === 'images' || what === 'cluster') {
  try {
    const steps = [
      ...(packagesInstalled(root) ? [] : [PACKAGES]),
      ...(what === 'packages' ? [] : await stepsFor(what)),
    ];
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
