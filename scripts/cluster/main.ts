/** The local cluster's one program. `node scripts/cluster/main.ts --help` lists what it can do. */
import {readFileSync, realpathSync} from 'node:fs';
import {join} from 'node:path';
import {getuid} from 'node:process';
import {succeeds} from '../terminal/command.ts';
import {bareCluster} from './bare/bare-cluster.ts';
import {chooseCluster} from './choose.ts';
import type {Cluster, ImageArchive} from './cluster.ts';
import {externalCluster} from './external-cluster.ts';
import {kindCluster} from './kind/kind-cluster.ts';
import {Refusal} from './refusal.ts';
import {readSettings, type Settings} from './settings.ts';
import {parseCommand, USAGE, type Command} from './usage.ts';

const say = (text: string): void => console.error(text);

async function main(argv: readonly string[]): Promise<number> {
  const command = parseCommand(argv);
  if (command.kind === 'help') {
    console.log(USAGE);
    return 0;
  }
  const settings = readSettings(process.env, realpathSync(join(import.meta.dirname, '..', '..')));
  return run(command, await findCluster(settings), settings);
}

async function findCluster(settings: Settings): Promise<Cluster> {
  const choice = chooseCluster({
    kubeconfig: settings.kubeconfig,
    wanted: settings.kind,
    platform: process.platform,
    isRoot: getuid?.() === 0,
    dockerAnswers:
      settings.kubeconfig === undefined && settings.kind !== 'bare' && (await succeeds(['docker', 'info'])),
  });
  switch (choice.kind) {
    case 'external':
      return externalCluster(settings, choice.kubeconfig, process.env, say);
    case 'kind':
      return kindCluster(settings, process.env, say);
    case 'bare':
      return bareCluster(settings, say);
    case 'none':
      throw new Refusal(choice.why);
  }
}

function run(command: Exclude<Command, {kind: 'help'}>, cluster: Cluster, settings: Settings): Promise<number> {
  switch (command.kind) {
    case 'up':
      return cluster.up();
    case 'down':
      return cluster.down({force: command.force});
    case 'status':
      return cluster.status();
    case 'logs':
      return cluster.logs(command.component);
    case 'shell':
      return cluster.exec([process.env['SHELL'] ?? 'bash']);
    case 'exec':
      return cluster.exec(command.argv);
    case 'load-images':
      return cluster.loadImages(builtImages(command.file ?? join(settings.out, 'images.json')));
    case 'trouble':
      return cluster.trouble(command.what, command.node);
  }
}

function builtImages(file: string): readonly ImageArchive[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Refusal(
      `${file} cannot be read: build the images first, with \`node scripts/images/main.ts build\`.`,
      error,
    );
  }
  return parseImages(text, file);
}

function parseImages(text: string, file: string): readonly ImageArchive[] {
  const parsed: unknown = JSON.parse(text);
  const archives = typeof parsed === 'object' && parsed !== null && 'archives' in parsed ? parsed.archives : undefined;
  if (!Array.isArray(archives)) throw new Error(`${file} has no list of archives: build the images again`);
  return archives.map((entry: unknown) => {
    if (
      typeof entry === 'object' &&
      entry !== null &&
      'image' in entry &&
      'path' in entry &&
      typeof entry.image === 'string' &&
      typeof entry.path === 'string'
    )
      return {image: entry.image, archive: entry.path};
    throw new Error(`${file} lists something that is not an image's archive: ${JSON.stringify(entry)}`);
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof Refusal ? 2 : 1;
}
