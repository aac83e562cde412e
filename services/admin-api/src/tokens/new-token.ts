import {randomBytes} from 'node:crypto';
import {tokenHash} from '@pisync/core/devices/tokens';

/** By which people, and programs that look for lost secrets, know what it is. A device's credential begins with `ps_`. */
const PREFIX = {enrolment: 'pse_', api: 'psa_'} as const;

const SECRET_BYTES = 32;

/** A new token, and what is kept of it. */
export const newToken = (kind: keyof typeof PREFIX): {readonly token: string; readonly hash: Buffer} => {
  const token = PREFIX[kind] + randomBytes(SECRET_BYTES).toString('base64url');
  return {token, hash: tokenHash(token)};
};
