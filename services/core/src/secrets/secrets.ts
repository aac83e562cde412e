import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {AppError} from '../errors/app-error.ts';

/** Mounted Secrets: one folder each, one file a key. */
export interface Secrets {
  /**
   * The value as it is on disk now, without a trailing newline. Callers read it whenever they open a connection, so a rotated
   * password is used from the next connection on without a restart.
   * @throws AppError `unavailable` that names the file, never its content.
   */
  read(folder: string, key: string): Promise<string>;
}

export const openSecrets = (dir: string): Secrets => ({
  async read(folder, key) {
    const path = join(dir, folder, key);
    let value: string;
    try {
      value = (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
    } catch (error) {
      throw new AppError('unavailable', `cannot read the secret ${path}; is the Secret mounted?`, {cause: error});
    }
    if (value === '') throw new AppError('unavailable', `the secret ${path} is empty`);
    return value;
  },
});
