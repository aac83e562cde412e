import {createReadStream, statSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {clusterFile} from './files.ts';

/** One finished request of the API server, from its audit log (level Metadata). */
export interface AuditedRequest {
  readonly verb: string;
  readonly user: string;
  readonly userAgent: string;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

const path = (): string => {
  const {auditLog} = clusterFile();
  if (auditLog === undefined) throw new Error('out/cluster.json names no audit log; this test needs the local cluster');
  return auditLog;
};

/** The log's present end, in bytes: a mark to read from later. */
export const auditMark = (): number => statSync(path()).size;

/** Every request that ended after the mark and passes the filter. */
export async function auditedSince(
  mark: number,
  wanted: (request: AuditedRequest) => boolean,
): Promise<readonly AuditedRequest[]> {
  const found: AuditedRequest[] = [];
  for await (const line of createInterface({input: createReadStream(path(), {start: mark})})) {
    if (!line.endsWith('}')) continue; // the last line may be half written
    // the format is audit.k8s.io/v1 Event
    const event = JSON.parse(line) as {
      readonly stage: string;
      readonly verb: string;
      readonly user: {readonly username?: string};
      readonly userAgent?: string;
      readonly objectRef?: {
        readonly resource?: string;
        readonly subresource?: string;
        readonly namespace?: string;
        readonly name?: string;
      };
    };
    if (event.stage !== 'ResponseComplete') continue;
    const request: AuditedRequest = {
      verb: event.verb,
      user: event.user.username ?? '',
      userAgent: event.userAgent ?? '',
      resource: [event.objectRef?.resource ?? '', event.objectRef?.subresource]
        .filter((part) => part !== undefined)
        .join('/'),
      namespace: event.objectRef?.namespace ?? '',
      name: event.objectRef?.name ?? '',
    };
    if (wanted(request)) found.push(request);
  }
  return found;
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);
/** A write by the operator other than renewing its own Lease. */
export const isOperatorWrite = (request: AuditedRequest): boolean =>
  WRITES.has(request.verb) &&
  request.user.startsWith('system:serviceaccount:pisync-system:') &&
  request.resource !== 'leases';
/** A list (not a watch) by the operator. */
export const isOperatorList = (request: AuditedRequest): boolean =>
  request.verb === 'list' && request.user.startsWith('system:serviceaccount:pisync-system:');
