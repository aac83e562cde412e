import {createHash} from 'node:crypto';
import {createReadStream, createWriteStream, type WriteStream} from 'node:fs';
import {stat} from 'node:fs/promises';
import {once} from 'node:events';
import {finished} from 'node:stream/promises';
import {tarEnd, tarHeader, tarPadding} from './tar.ts';

/** What runs when a container of the image starts. */
export interface ImageConfig {
  readonly env?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
}

/**
 * Writes a docker-archive of an image whose only layer is the file tree in `rootTar`: what `docker load`, `ctr images import` and
 * `kind load image-archive` read. It is written directly because an image of one layer is that layer and two small files
 * of JSON, which takes a second where committing and pushing the same tree through a builder takes minutes.
 *
 * Source: the Docker Image Specification v1.2.
 */
export async function writeSingleLayerArchive(
  image: string,
  config: ImageConfig,
  rootTar: string,
  archive: string,
): Promise<void> {
  const layerDigest = await sha256OfFile(rootTar);
  const configJson = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: {Env: config.env, Entrypoint: config.entrypoint, Cmd: config.cmd},
      rootfs: {type: 'layers', diff_ids: [`sha256:${layerDigest}`]},
      history: [{created_by: 'scripts/images'}],
    }),
  );
  const configName = `${createHash('sha256').update(configJson).digest('hex')}.json`;
  const layerName = `${layerDigest}.tar`;
  const manifest = Buffer.from(JSON.stringify([{Config: configName, RepoTags: [image], Layers: [layerName]}]));

  const output = createWriteStream(archive);
  const {size} = await stat(rootTar);
  await write(output, tarHeader(layerName, size));
  for await (const chunk of createReadStream(rootTar, {highWaterMark: 1 << 20})) await write(output, chunk as Buffer); // no encoding is set: chunks are Buffers
  await write(output, tarPadding(size));
  for (const [name, content] of [
    [configName, configJson],
    ['manifest.json', manifest],
  ] as const)
    await write(output, Buffer.concat([tarHeader(name, content.length), content, tarPadding(content.length)]));
  output.end(tarEnd());
  await finished(output);
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, {highWaterMark: 1 << 20})) hash.update(chunk as Buffer); // as above
  return hash.digest('hex');
}

async function write(output: WriteStream, chunk: Buffer): Promise<void> {
  if (!output.write(chunk)) await once(output, 'drain');
}
