import {writeAuditOfSlot} from '@pisync/core/audit/write-audit';
import type {SyncRequest} from '@pisync/core/broker/sync-request';
import type {Groups} from '@pisync/core/devices/groups';
import type {Shards} from '@pisync/core/shards/shards';
import type {CacheAccess} from './caching/read-through.ts';
import {auditExportRoute} from './audit/audit-export.ts';
import {auditListRoute} from './audit/audit-list-route.ts';
import {createAuditPages} from './audit/audit-pages.ts';
import {auditVerifyRoute} from './audit/verify-route.ts';
import type {CredentialNews} from './devices/credential-news.ts';
import {deviceChangeRoutes} from './devices/device-change.ts';
import {createDeviceDirectory} from './devices/device-directory.ts';
import {deviceHistoryRoutes} from './devices/device-history.ts';
import {deviceListRoute} from './devices/device-list.ts';
import {deviceRoute} from './devices/device-route.ts';
import {createGroupCounts} from './groups/group-counts.ts';
import {groupRoutes} from './groups/group-routes.ts';
import type {Route} from './http/route.ts';
import {withOpenApi} from './openapi/openapi-route.ts';
import {createCursors} from './paging/cursors.ts';
import type {AskShards} from './paging/fan-out.ts';
import {createCensus} from './region/census.ts';
import {regionSummaryRoute} from './region/region-summary.ts';
import type {Authenticator} from './sessions/authenticate.ts';
import type {CallLimiter} from './sessions/rate-limit.ts';
import {sessionRoutes} from './sessions/session-routes.ts';
import type {Sessions} from './sessions/sessions.ts';
import type {Sealer} from './sealing/sealer.ts';
import {syncRequestRoute} from './sync-requests/sync-request-route.ts';
import {apiTokenRoutes} from './tokens/api-token-routes.ts';
import {enrolmentTokenRoutes} from './tokens/enrolment-token-routes.ts';

export interface ApiOptions {
  readonly shards: Shards;
  readonly groups: Groups;
  readonly askShards: AskShards;
  readonly cache: CacheAccess;
  readonly news: CredentialNews;
  readonly sealer: Sealer;
  readonly authenticator: Authenticator;
  readonly limiter: CallLimiter;
  readonly sessions: Sessions;
  /** Name of the cookie that has a session's id. */
  readonly cookieName: string;
  readonly publishSyncRequest: (request: SyncRequest) => Promise<void>;
  /** What the audit chain is signed with; read at each use. */
  readonly readAuditKey: () => Promise<string>;
  readonly region: () => string;
  /** Host name that devices use, where the region has one. */
  readonly deviceHost: () => string | undefined;
  readonly now: () => number;
  readonly newId: () => string;
  /** A uuid of version 7. */
  readonly newTokenId: () => string;
  readonly version: string;
  readonly onRefreshFailed: (error: unknown) => void;
}

/** Every operation of the API. */
export const apiRoutes = (options: ApiOptions): readonly Route[] => {
  const cursors = createCursors(options.sealer);
  const directory = createDeviceDirectory(options);
  const census = createCensus(options);
  const readPage = createAuditPages(options);
  return withOpenApi(
    [
      ...sessionRoutes(options),
      regionSummaryRoute({...options, census}),
      deviceListRoute({...options, cursors, census}),
      deviceRoute(directory),
      ...deviceChangeRoutes({...options, directory}),
      ...deviceHistoryRoutes({...options, cursors, directory}),
      syncRequestRoute({
        ...options,
        directory,
        tell: (slot, entry) => writeAuditOfSlot(options.shards, slot, entry),
        publish: options.publishSyncRequest,
      }),
      ...groupRoutes({...options, cursors, counts: createGroupCounts({...options, census})}),
      ...enrolmentTokenRoutes({...options, cursors}),
      ...apiTokenRoutes({...options, cursors}),
      auditListRoute({...options, readPage, cursors}),
      auditExportRoute({...options, readPage}),
      auditVerifyRoute({...options, cursors}),
    ],
    options,
  );
};
