import {z} from 'zod';
import {type AuditPlace} from '@pisync/core/audit/audit-list';
import type {Groups} from '@pisync/core/devices/groups';
import {AppError} from '@pisync/core/errors/app-error';
import {route, type Route} from '../http/route.ts';
import {shardNames} from '../paging/fan-out.ts';
import type {Positions} from '../paging/merge.ts';
import type {ReadAuditPage} from './audit-pages.ts';
import {type AuditEntryView, auditEntrySchema, auditFilter, auditQuery, showAuditEntry} from './audit-schema.ts';

export interface AuditExportOptions {
  readonly readPage: ReadAuditPage;
  readonly groups: Groups;
}

const FORMATS = {
  ndjson: {type: 'application/x-ndjson', fileName: 'audit.ndjson'},
  csv: {type: 'text/csv', fileName: 'audit.csv'},
} as const;

/** Entries that are in memory at a time. */
const PAGE = 200;

const FIELDS = auditEntrySchema.keyof().options;

/** A spreadsheet takes such a cell for a formula, and its text is somebody's. */
const FORMULA = /^[=+\-@\t\r]/;

const cell = (value: unknown): string => {
  const text = value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  const safe = typeof value === 'string' && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** RFC 4180. */
const csvLine = (cells: readonly unknown[]): string => `${cells.map(cell).join(',')}\r\n`;

const WRITERS: Readonly<Record<keyof typeof FORMATS, (entry: AuditEntryView) => string>> = {
  ndjson: (entry) => `${JSON.stringify(entry)}\n`,
  csv: (entry) => csvLine(FIELDS.map((field) => entry[field])),
};

/** All entries that a filter finds, newest first, page after page. */
export const auditExportRoute = ({readPage, groups}: AuditExportOptions): Route =>
  route(
    {
      method: 'get',
      path: '/api/v1/audit/export',
      operationId: 'exportAudit',
      summary: 'All of it, as NDJSON or CSV.',
      access: 'audit',
      query: z.strictObject({...auditFilter, format: z.enum(['ndjson', 'csv']).default('ndjson')}),
      success: {
        status: 200,
        description:
          'A line an entry, newest first. Where the rest cannot be read, NDJSON ends with a line that has `error` alone, and CSV is cut with its connection.',
        streams: Object.values(FORMATS).map(({type}) => type),
      },
    },
    async ({query: {format, ...filter}, principal: {scope}}) => {
      const names = await groups.names();
      const write = WRITERS[format];
      const query = auditQuery(filter, scope);
      const pages = async function* (): AsyncGenerator<string> {
        let positions: Positions<AuditPlace> = new Map();
        if (format === 'csv') yield csvLine(FIELDS);
        for (let hasNextPage = true; hasNextPage;) {
          const page = await readPage(query, positions, PAGE);
          if (page.missing.length > 0) {
            const away = shardNames(page.missing).join(', ');
            throw new AppError('shard-unavailable', `${away} did not answer; what waits there is missing.`);
          }
          yield page.rows.map((row) => write(showAuditEntry(row, names))).join('');
          ({hasNextPage, positions} = page);
        }
      };
      const {type, fileName} = FORMATS[format];
      return Promise.resolve({
        body: undefined,
        stream: {type, fileName, chunks: format === 'csv' ? pages() : sayingWhy(pages())},
      });
    },
  );

/** NDJSON has a way to say that it does not go on. What fails before the first line is an answer of its own. */
const sayingWhy = async function* (chunks: AsyncGenerator<string>): AsyncGenerator<string> {
  let hasBegun = false;
  try {
    for await (const chunk of chunks) {
      yield chunk;
      hasBegun = true;
    }
  } catch (error) {
    if (!hasBegun) throw error;
    yield `${JSON.stringify({error: error instanceof AppError ? error.message : 'The rest cannot be read now.'})}\n`;
  }
};
