import type {IncomingMessage} from 'node:http';
import {AppError} from '@pisync/core/errors/app-error';

/** What a device shows: who it says it is, and the secret that proves it. */
export interface ShownCredential {
  readonly deviceId: string;
  readonly secret: string;
}

const CREDENTIAL = /^ps_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([A-Za-z0-9_-]{43})$/;
/** RFC 6750 names the scheme "Bearer"; RFC 9110 makes schemes case-insensitive. */
const BEARER = /^Bearer +(\S{1,512})$/i;

export const bearerToken = (request: IncomingMessage): string | undefined =>
  bearerTokenOf(request.headers.authorization);

const bearerTokenOf = (authorization: string | undefined): string | undefined => BEARER.exec(authorization ?? '')?.[1];

/** @throws AppError `unauthenticated` */
export const shownCredential = (request: IncomingMessage): ShownCredential =>
  shownCredentialOf(request.headers.authorization);

/** @throws AppError `unauthenticated` */
export const shownCredentialOf = (authorization: string | undefined): ShownCredential => {
  const match = CREDENTIAL.exec(bearerTokenOf(authorization) ?? '');
  const [, deviceId, secret] = match ?? [];
  if (deviceId === undefined || secret === undefined) {
    throw new AppError(
      'unauthenticated',
      'a device credential is needed: Authorization: Bearer ps_<deviceId>.<secret>',
    );
  }
  return {deviceId, secret};
};

export const formatCredential = ({deviceId, secret}: ShownCredential): string => `ps_${deviceId}.${secret}`;
