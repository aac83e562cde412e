import {readdir, readFile} from 'node:fs/promises';
import {extname, join, relative, sep} from 'node:path';
import {promisify} from 'node:util';
import {gzip} from 'node:zlib';
import type {NextFunction, Request, Response} from 'express';
import {z} from 'zod';
import {etagOf, knowsEtag} from '../http/etag.ts';

/** The dashboard's files, read once: they are small, never change while the process runs, and no path of a request reaches the disk. */
export interface StaticFile {
  readonly body: Buffer;
  /** Present where it is smaller. */
  readonly gzipped: Buffer | undefined;
  readonly etag: string;
  readonly type: string;
  /** The build puts a hash of the content into names below assets/. */
  readonly immutable: boolean;
}

/** A folder's files by URL path, with `index.html` once more for each view. */
export interface StaticFiles {
  /** Undefined for what is neither a file nor a view. */
  at(path: string): StaticFile | undefined;
}

/** Paths of views, as the dashboard lists them: `*` stands for any one segment. Any other path is a mistake, and whoever makes it should hear so. */
const viewsSchema = z.array(z.string().startsWith('/'));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

const compress = promisify(gzip);

/** @throws when the folder cannot be read or holds no dashboard. */
export const readStaticFiles = async (folder: string): Promise<StaticFiles> => {
  const files = new Map<string, StaticFile>();
  for (const entry of await readdir(folder, {recursive: true, withFileTypes: true})) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const body = await readFile(path);
    const gzipped = await compress(body, {level: 9});
    files.set(`/${relative(folder, path).split(sep).join('/')}`, {
      body,
      gzipped: gzipped.length < body.length ? gzipped : undefined,
      etag: etagOf(body),
      type: TYPES[extname(entry.name)] ?? 'application/octet-stream',
      immutable: relative(folder, path).startsWith(`assets${sep}`),
    });
  }
  const [index, views] = [files.get('/index.html'), files.get('/views.json')];
  if (index === undefined || views === undefined) {
    throw new Error(`${folder} holds no index.html and views.json; was the dashboard built into it?`);
  }
  const patterns = viewsSchema.parse(JSON.parse(views.body.toString())).map(segmentsOf);
  const isView = (path: string): boolean => {
    const segments = segmentsOf(path);
    return patterns.some(
      (pattern) =>
        pattern.length === segments.length && pattern.every((part, place) => part === '*' || part === segments[place]),
    );
  };
  return {at: (path) => files.get(path) ?? (isView(path) ? index : undefined)};
};

const segmentsOf = (path: string): readonly string[] => path.split('/').filter((part) => part !== '');

/** Serves the files and views; the rest is somebody else's. */
export const serveStaticFiles =
  (files: StaticFiles) =>
  (request: Request, response: Response, next: NextFunction): void => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      next();
      return;
    }
    const file = files.at(request.path);
    if (file === undefined) {
      next();
      return;
    }
    response.setHeader('Content-Type', file.type);
    response.setHeader('ETag', file.etag);
    response.setHeader('Vary', 'Accept-Encoding');
    response.setHeader('Cache-Control', file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
    if (knowsEtag(request.get('if-none-match'), file.etag)) {
      response.status(304).end();
      return;
    }
    const packed = file.gzipped !== undefined && request.acceptsEncodings('gzip') === 'gzip' ? file.gzipped : undefined;
    if (packed !== undefined) response.setHeader('Content-Encoding', 'gzip');
    const body = packed ?? file.body;
    response.setHeader('Content-Length', body.length);
    response.end(request.method === 'HEAD' ? undefined : body);
  };
