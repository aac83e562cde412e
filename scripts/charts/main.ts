/** `node scripts/charts/main.ts FOLDER`: packs both Helm charts into FOLDER. Needs no cluster. */
import {join} from 'node:path';
import {findHelm} from '../cluster/helm.ts';
import {runCommand} from '../terminal/command.ts';

const CHARTS = ['pisync', 'pisync-region'].map((name) => join(import.meta.dirname, '..', '..', 'charts', name));

const [folder] = process.argv.slice(2);
const helm = await findHelm();
const say = (line: string): void => void process.stderr.write(`${line}\n`);
if (folder === undefined || folder.startsWith('-')) {
  say('usage: node scripts/charts/main.ts FOLDER');
  process.exitCode = folder === '--help' ? 0 : 2;
} else if (helm === undefined) {
  say('There is no helm to pack the charts with: install it (https://helm.sh), or have one built by `make up`.');
  process.exitCode = 2;
} else {
  await runCommand([helm, 'package', ...CHARTS, '--destination', folder], {log: say});
}
