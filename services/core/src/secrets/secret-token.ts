import {SECRET_KEYS} from '@pisync/contract/files';
import {tokenHash} from '../devices/tokens.ts';
import {type Secrets} from './secrets.ts';

/** A token that stands in the Secret `bootstrap` and nowhere else: who replaces it there has revoked the one before. */
export interface SecretToken {
  /** By sha256 in hex. False for any while the Secret has none. */
  matches(hash: string): Promise<boolean>;
}

export interface SecretTokenOptions {
  readonly secrets: Pick<Secrets, 'read'>;
  readonly key: keyof typeof SECRET_KEYS.bootstrap;
  /** Milliseconds. */
  readonly monotonic: () => number;
}

/** The mount itself is up to a minute and a half behind the Secret. */
const LOOK_EVERY_MS = 2_000;

export const createSecretToken = ({secrets, key, monotonic}: SecretTokenOptions): SecretToken => {
  let known: string | undefined;
  let lookedAt = -Infinity;
  const look = async (): Promise<void> => {
    if (monotonic() - lookedAt < LOOK_EVERY_MS) return;
    // What cannot be read lets nobody in.
    const token = await secrets.read('bootstrap', SECRET_KEYS.bootstrap[key]).catch(() => undefined);
    known = token === undefined ? undefined : tokenHash(token).toString('hex');
    lookedAt = monotonic();
  };
  return {
    async matches(hash) {
      await look();
      return hash === known;
    },
  };
};
