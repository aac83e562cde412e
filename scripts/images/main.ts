import {mkdirSync, readdirSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {runSteps, type Step} from '../terminal/steps.ts';
import {ensureAppImage} from './app-image.ts';
import {DATA_IMAGE, ensureBaseImage, imagesFolder, PAUSE_IMAGE, type ImageArchive} from './base-images.ts';
import {buildahBuilder, dockerAnswers, dockerBuilder} from './builder.ts';
import {OPERATOR, ROOT, SERVICE} from './bundle.ts';
import {superseded} from './prune.ts';

const HELP = `usage: node scripts/images/main.ts build

  build   bundle the services and the operator, build their images as archives, and write their names into out/images.json

Uses Docker where it answers (PISYNC_CLUSTER=bare: never), and otherwise buildah. An image whose content has not changed is not built again.
`;

/** Real servers from their makers, for clusters that can pull them. */
const OFFICIAL = {
  postgres: 'docker.io/library/postgres:17',
  rabbitmq: 'docker.io/library/rabbitmq:4.2',
  redis: 'docker.io/library/redis:8',
} as const;

async function buildImages(): Promise<number> {
  const useDocker = process.env.PISYNC_CLUSTER !== 'bare' && (await dockerAnswers());
  const builder = useDocker ? dockerBuilder : buildahBuilder;
  const made = new Map<string, ImageArchive>();
  const steps: Step[] = [SERVICE, OPERATOR].map((application) => ({
    name: `image ${application.name}`,
    run: async (context) => void made.set(application.name, await ensureAppImage(application, builder, context)),
  }));
  if (!useDocker)
    for (const base of [DATA_IMAGE, PAUSE_IMAGE])
      steps.push({
        name: `image ${base.name}`,
        run: async (context) => void made.set(base.name, await ensureBaseImage(base, context)),
      });
  const code = await runSteps(steps, {logFolder: join(ROOT, 'out', 'logs')});
  if (code !== 0) return code;
  writeImageList(made, useDocker);
  prune();
  return 0;
}

/** `out/images.json`: which images the cluster needs, and the archives that they are loaded from. */
function writeImageList(made: ReadonlyMap<string, ImageArchive>, official: boolean): void {
  const image = (name: string): string => {
    const found = made.get(name)?.image;
    if (found === undefined) throw new Error(`no image called ${name} was made`);
    return found;
  };
  const data = official ? OFFICIAL : dataServers(image(DATA_IMAGE.name));
  const list = {
    service: image(SERVICE.name),
    operator: image(OPERATOR.name),
    ...data,
    archives: [...made.values()].map(({image: name, archive}) => ({image: name, path: archive})),
  };
  mkdirSync(join(ROOT, 'out'), {recursive: true});
  writeFileSync(join(ROOT, 'out', 'images.json'), `${JSON.stringify(list, null, 2)}\n`);
}

const dataServers = (image: string): Readonly<Record<keyof typeof OFFICIAL, string>> => ({
  postgres: image,
  rabbitmq: image,
  redis: image,
});

function prune(): void {
  const folder = imagesFolder();
  const entries = readdirSync(folder).map((name) => ({name, usedMs: statSync(join(folder, name)).mtimeMs}));
  for (const {name} of superseded(entries)) rmSync(join(folder, name), {recursive: true, force: true});
}

const [command] = process.argv.slice(2);
if (command === 'build') process.exitCode = await buildImages();
else {
  process.stdout.write(HELP);
  process.exitCode = command === '--help' || command === undefined ? 0 : 2;
}
