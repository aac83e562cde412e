import {readFile} from 'node:fs/promises';
import {join} from 'node:path';

const DOCS = join(import.meta.dirname, '../../../../docs');

/** What a page prints for people to copy, block by block: those of one language (`sh`, `yaml`) below a heading. */
export const printed = async (page: string, heading: string, language: string): Promise<readonly string[]> => {
  const [, below] = (await readFile(join(DOCS, page), 'utf8')).split(`\n${heading}\n`);
  if (below === undefined) throw new Error(`${page} has no heading "${heading}"`);
  const level = /^#+ /.exec(heading)?.[0].length ?? 0;
  const [section = ''] = below.split(new RegExp(`^#{1,${level - 1}} `, 'm'));
  return [...section.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, block = '']) => block);
};
