import {timingSafeEqual} from 'node:crypto';
import type {Credential} from '@pisync/core/devices/credentials';
import {tokenHash} from '@pisync/core/devices/tokens';
import {AppError} from '@pisync/core/errors/app-error';
import type {ShownCredential} from './bearer.ts';
import type {CredentialStore} from './credential-store.ts';

/**
 * Proves that a device is who it says. The secret has 256 random bits, so one sha256 is enough: there is nothing to slow down.
 * @throws AppError `unauthenticated` or, for a device that an administrator shut out, `forbidden`.
 */
export const authenticate = async (store: CredentialStore, shown: ShownCredential): Promise<Credential> => {
  const hash = tokenHash(shown.secret);
  const cached = await store.find(shown.deviceId);
  // A device that enrolled anew has a secret that this process has not heard of yet.
  const credential = matches(cached, hash) ? cached : await store.findFresh(shown.deviceId);
  return proven(credential, hash);
};

/** @param hash of the secret that was shown @throws like {@link authenticate} */
export const proven = (credential: Credential | undefined, hash: Buffer): Credential => {
  if (credential === undefined || !matches(credential, hash)) {
    throw new AppError('unauthenticated', 'the device credential is not valid; enrol again');
  }
  if (credential.revoked) throw new AppError('forbidden', 'this device was revoked by an administrator');
  return credential;
};

const matches = (credential: Credential | undefined, hash: Buffer): boolean =>
  credential?.secretHash.length === hash.length && timingSafeEqual(credential.secretHash, hash);
