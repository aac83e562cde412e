/**
 * For `node --import`: a disk that is full while there is a file at `FULL_DISK`. A state folder's path in that file is one whose reserve is the last room:
 * once it is gone there is room for small writes. With `EIO` in it the disk fails. With `EROFS` it can only be read.
 */
import {existsSync, readFileSync} from 'node:fs';
import promises, {open, type FileHandle} from 'node:fs/promises';
import {syncBuiltinESMExports} from 'node:module';
import {join} from 'node:path';

const FULL = process.env.FULL_DISK ?? '';
const SMALL_BYTES = 64 * 1024;

const hasRoomFor = (bytes: number): boolean => {
  if (!existsSync(FULL)) return true;
  const folder = readFileSync(FULL, 'utf8');
  return folder.includes('/') && !existsSync(join(folder, 'reserve')) && bytes < SMALL_BYTES;
};

const handle = await open('/dev/null');
type Write = (this: FileHandle, data: string | Uint8Array) => Promise<void>;
// Of every file that node:fs/promises opens. Types say any.
const prototype = Object.getPrototypeOf(handle) as Record<'writeFile' | 'appendFile', Write>;
await handle.close();
for (const name of ['writeFile', 'appendFile'] as const) {
  const write = prototype[name];
  prototype[name] = async function (data) {
    if (hasRoomFor(data.length)) return write.call(this, data);
    const isFailing = readFileSync(FULL, 'utf8') === 'EIO';
    throw isFailing
      ? Object.assign(new Error('EIO: i/o error, write'), {code: 'EIO'})
      : Object.assign(new Error('ENOSPC: no space left on device, write'), {code: 'ENOSPC'});
  };
}

const {rename} = promises;
promises.rename = (from, to) => {
  if (!existsSync(FULL) || readFileSync(FULL, 'utf8') !== 'EROFS') return rename(from, to);
  const message = `EROFS: read-only file system, rename '${String(from)}' -> '${String(to)}'`;
  return Promise.reject(Object.assign(new Error(message), {code: 'EROFS', path: from}));
};
syncBuiltinESMExports();
