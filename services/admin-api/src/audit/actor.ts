import {isIP} from 'node:net';
import type {AuditActor} from '@pisync/core/audit/audit-entry';
import type {Origin} from '../http/route.ts';
import type {Principal} from '../sessions/principal.ts';

/** Who calls, as the audit says it. */
export const actorOf = ({id, name, role}: Principal, {requestId, address}: Origin): AuditActor => ({
  tokenId: id,
  name,
  role,
  requestId,
  address,
});

/**
 * Where a call comes from. A proxy adds to `X-Forwarded-For` whom it talks to, so the last part is what the nearest one says; whatever stands before
 * it anybody may have written.
 */
export const addressOf = (forwardedFor: string | undefined, peer: string | undefined): string | undefined => {
  const said = forwardedFor?.split(',').at(-1)?.trim();
  const address = said !== undefined && isIP(said) !== 0 ? said : peer;
  // An IPv4 peer of a socket for both.
  return address?.replace(/^::ffff:(?=\d+\.)/, '');
};
