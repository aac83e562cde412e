import {readFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {AppError} from '../errors/app-error.ts';

/** Mounted Secrets: one folder each, one file a key. */
export interface Secrets {
  /**
   * The value as it is on disk now, without a trailing newline. Callers read it at each use: a token or key counts from when it is mounted. Pods are restarted
   * for a new password, because the mount is behind, but not all at once, and those that still run use it from the next connection on.
   * @throws AppError `unavailable`, with a cause for the log that names the file, never its content: whoever asks may be a stranger.
   */
  read(folder: string, key: string): Promise<string>;
  /** The same for callers that cannot wait; a Secret is mounted from memory. */
  readNow(folder: string, key: string): string;
}

export const openSecrets = (dir: string): Secrets => {
  const unusable = (reason: string, cause?: unknown): AppError =>
    new AppError('unavailable', 'a Secret cannot be used at the moment', {cause: new Error(reason, {cause})});
  const missing = (path: string, cause: unknown): AppError =>
    unusable(`cannot read the secret ${path}; is the Secret mounted?`, cause);
  const valueOf = (path: string, text: string): string => {
    const value = text.replace(/\r?\n$/, '');
    if (value === '') throw unusable(`the secret ${path} is empty`);
    return value;
  };
  return {
    async read(folder, key) {
      const path = join(dir, folder, key);
      const text = await readFile(path, 'utf8').catch((error: unknown) => {
        throw missing(path, error);
      });
      return valueOf(path, text);
    },
    readNow(folder, key) {
      const path = join(dir, folder, key);
      let text: string;
      try {
        text = readFileSync(path, 'utf8');
      } catch (error) {
        throw missing(path, error);
      }
      return valueOf(path, text);
    },
  };
};
