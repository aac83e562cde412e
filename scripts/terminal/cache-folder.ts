import {homedir} from 'node:os';
import {join} from 'node:path';

/**
 * Where everything that was downloaded or built for this machine lives, outside the checkout, by content hash:
 * `$XDG_CACHE_HOME/pisync`, by default `~/.cache/pisync` (XDG Base Directory Specification).
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_CACHE_HOME;
  return join(base !== undefined && base.startsWith('/') ? base : join(homedir(), '.cache'), 'pisync');
}
