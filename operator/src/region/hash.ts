import {createHash} from 'node:crypto';
import {stringify} from 'safe-stable-stringify';

/** 64 bits of SHA-256, of the JSON with sorted keys: enough to tell configurations apart, too little to be worth attacking. */
export const hashOf = (value: unknown): string =>
  createHash('sha256')
    .update(stringify(value) ?? '')
    .digest('hex')
    .slice(0, 16);
