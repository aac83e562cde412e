import {createHash} from 'node:crypto';
import {globSync, readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';

/** Twelve hex digits that change when a file below `folder` is added, removed, renamed or changed, or one of `more` is another. */
export function contentHash(folder: string, more: readonly string[], ignored: readonly string[] = []): string {
  const hash = createHash('sha256').update(JSON.stringify(more));
  for (const file of globSync('**', {cwd: folder, exclude: [...ignored]}).sort()) {
    const path = join(folder, file);
    if (!statSync(path).isFile()) continue;
    const content = readFileSync(path);
    hash.update(`\u0000${file}\u0000${content.length}\u0000`).update(content);
  }
  return hash.digest('hex').slice(0, 12);
}
