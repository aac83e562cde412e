import type {IncomingMessage} from 'node:http';
import type {RequestHandler} from 'express';
import type {Credential} from '@pisync/core/devices/credentials';
import {AppError} from '@pisync/core/errors/app-error';
import {PROBLEM_MEDIA_TYPE, problemOf} from '@pisync/core/errors/problem';
import {checkBodyHeaders, readBody} from '@pisync/core/http/read-body';
import {onReceived} from '@pisync/core/http/received';
import {requestIdOf} from '@pisync/core/http/request-id';
import {bindingOf} from '../answers/binding.ts';
import {authenticate} from '../credentials/authenticator.ts';
import {shownCredential} from '../credentials/bearer.ts';
import type {CredentialStore} from '../credentials/credential-store.ts';
import type {Admission, AdmittedCall} from '../limits/admission.ts';
import type {ByteQuota} from '../limits/byte-quota.ts';
import type {DeviceQuota} from '../limits/device-quota.ts';
import {BODY_LIMITS} from '../policy.ts';
import type {BodyReader} from './body-reader.ts';
import type {SyncBody} from './sync-body.ts';
import type {SyncService} from './sync-service.ts';

export interface SyncRouteOptions {
  readonly credentials: CredentialStore;
  readonly quota: DeviceQuota;
  readonly bytes: Pick<ByteQuota, 'check'>;
  readonly admission: Admission;
  readonly bodies: Pick<BodyReader, 'read'>;
  readonly service: SyncService;
  readonly region: () => string;
}

/** `POST /v1/sync`. Cheap checks come first, so that whoever is turned away cost little. */
export const syncRoute = ({
  credentials,
  quota,
  bytes,
  admission,
  bodies,
  service,
  region,
}: SyncRouteOptions): RequestHandler => {
  const take = async (request: IncomingMessage, device: Credential, call: AdmittedCall) => {
    const payload = await readBody(request, BODY_LIMITS, call);
    return onReceived(payload, async () => {
      quota.spend(device.deviceId, payload.length);
      // What came packed is as long as this.
      bytes.check(device.deviceId, payload.length);
      const body = await bodies.read(payload);
      return {body, answer: await service.sync(device, body, payload)};
    });
  };
  return async (request, response) => {
    checkBodyHeaders(request, BODY_LIMITS);
    const shown = shownCredential(request);
    const device = await authenticate(credentials, shown);
    quota.take(device.deviceId);
    bytes.check(device.deviceId, announcedBytes(request));
    const call = admission.enter({broker: true, stranger: false});
    const {body, answer: taken} = await take(request, device, call).finally(() => call.leave());
    const {deviceId} = device;
    const answer = {...bindingOf(region(), request.query.nonce), deviceId, epoch: body.epoch, ...taken};
    if (body.faults.length === 0) {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(answer));
      return;
    }
    // The rest is taken all the same, so this is an answer and not an error.
    const problem = problemOf(
      new AppError('invalid', `${whatIsBad(body)} cannot be stored; the rest is taken`, {
        errors: body.faults,
        extra: {...answer},
      }),
      requestIdOf(response),
    );
    response.statusCode = problem.status;
    response.setHeader('Content-Type', PROBLEM_MEDIA_TYPE);
    response.end(JSON.stringify(problem.body));
  };
};

const announcedBytes = ({headers}: IncomingMessage): number | undefined => {
  const length = headers['content-length'];
  return length === undefined ? undefined : Number(length);
};

const whatIsBad = ({bad, recordCount, isStateBad}: SyncBody): string =>
  [...(isStateBad ? ['the state'] : []), ...(bad.length === 0 ? [] : [`${bad.length} of ${recordCount} records`])].join(
    ' and ',
  );
