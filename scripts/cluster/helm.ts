import {join} from 'node:path';
import {succeeds} from '../terminal/command.ts';
import {cachedBinaries} from './binaries.ts';

/** Helm without a cluster: the one that was built with the bare cluster's binaries, else the one on the PATH; undefined where there is none. */
export async function findHelm(): Promise<string | undefined> {
  const {binDir} = cachedBinaries() ?? {};
  if (binDir !== undefined) return join(binDir, 'helm');
  return (await succeeds(['helm', 'version'])) ? 'helm' : undefined;
}
