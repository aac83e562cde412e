import {z} from 'zod';
import type {AuditPlace} from '@pisync/core/audit/audit-list';
import type {Groups} from '@pisync/core/devices/groups';
import {route, type Route} from '../http/route.ts';
import {type Cursors, packPositions, unpackPositions} from '../paging/cursors.ts';
import {shardNames} from '../paging/fan-out.ts';
import {pageOf, pageQuery} from '../paging/page-schema.ts';
import {auditPositions, type ReadAuditPage} from './audit-pages.ts';
import {auditEntrySchema, auditFilter, auditQuery, showAuditEntry} from './audit-schema.ts';

export interface AuditListOptions {
  readonly readPage: ReadAuditPage;
  readonly groups: Groups;
  readonly cursors: Cursors;
  readonly now: () => number;
}

const PATH = '/api/v1/audit';

export const auditListRoute = ({readPage, groups, cursors, now}: AuditListOptions): Route =>
  route(
    {
      method: 'get',
      path: PATH,
      operationId: 'listAudit',
      summary: 'Who did what, newest first.',
      access: 'audit',
      query: z.strictObject({...pageQuery, ...auditFilter}),
      success: {status: 200, description: 'A page.', schema: pageOf(auditEntrySchema)},
    },
    async ({query: {cursor, limit, ...filter}, principal: {scope}}) => {
      const query = auditQuery(filter, scope);
      const list = `${PATH} ${JSON.stringify([scope ?? null, filter])}`;
      const before =
        cursor === undefined
          ? new Map<number, AuditPlace>()
          : unpackPositions(await cursors.open(list, auditPositions, cursor));
      const asOf = new Date(now()).toISOString();
      const {rows, hasNextPage, positions, missing} = await readPage(query, before, limit);
      const goesOn = hasNextPage || missing.length > 0;
      const names = await groups.names();
      return {
        body: {
          data: rows.map((row) => showAuditEntry(row, names)),
          hasNextPage,
          nextCursor: goesOn ? await cursors.seal(list, packPositions(positions)) : null,
          asOf,
          ...(missing.length === 0 ? {} : {partial: shardNames(missing)}),
        },
      };
    },
  );
