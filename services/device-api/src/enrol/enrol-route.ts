import type {IncomingMessage} from 'node:http';
import type {RequestHandler} from 'express';
import {Counter, type Registry} from 'prom-client';
import type {PositionHints} from '@pisync/core/cache/position-hint';
import {enrol, type Enrolled, type Refused} from '@pisync/core/devices/enrolment';
import {DEFAULT_GROUP} from '@pisync/core/devices/groups';
import type {DeviceKeys} from '@pisync/core/devices/device-keys';
import {createTokenCache} from '@pisync/core/devices/token-cache';
import {findEnrolmentToken, takePlace, tokenHash} from '@pisync/core/devices/tokens';
import {AppError} from '@pisync/core/errors/app-error';
import {readBody} from '@pisync/core/http/read-body';
import {bindingOf} from '../answers/binding.ts';
import type {Door} from '@pisync/core/limits/door';
import type {SecretToken} from '@pisync/core/secrets/secret-token';
import type {Shards} from '@pisync/core/shards/shards';
import type {Logger} from '@pisync/core/telemetry/logger';
import {bearerToken, formatCredential} from '../credentials/bearer.ts';
import type {CredentialStore} from '../credentials/credential-store.ts';
import type {Admission, AdmittedCall} from '../limits/admission.ts';
import {createLineQuota} from '../limits/line-quota.ts';
import type {NewDeviceQuota} from '../limits/new-device-quota.ts';
import type {ReEnrolmentQuota} from '../limits/re-enrolment-quota.ts';
import type {GiveBack} from '../limits/shared-quota.ts';
import type {UsedUpQuota} from '../limits/used-up-quota.ts';
import {POLICY} from '../policy.ts';
import type {FromShard} from '../shard-fault.ts';
import {formatEpoch} from '@pisync/core/devices/epoch';
import {deviceIdOf} from './device-id.ts';
import {parseEnrolBody} from './enrol-body.ts';

export interface EnrolRouteOptions {
  readonly shards: Shards;
  readonly keys: DeviceKeys;
  readonly credentials: CredentialStore;
  readonly hints: Pick<PositionHints, 'write'>;
  /** The enrolment token of the Secret. */
  readonly secretToken: SecretToken;
  readonly region: () => string;
  /** Turns a database's error into one that the caller is told. */
  readonly fromShard: FromShard;
  /** To the control shard, for tokens that nobody knows, and for places of a token. */
  readonly controlDoor: Door;
  readonly newDevices: NewDeviceQuota;
  readonly usedUp: UsedUpQuota;
  readonly reEnrolments: ReEnrolmentQuota;
  readonly admission: Admission;
  readonly log: Logger;
  readonly registry: Registry;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const BODY_LIMITS = {maxBytes: 16 * 1024, maxInflatedBytes: 16 * 1024} as const;
/** A fleet enrols with one token; a revoked one works this much longer, an unknown one is not asked for again this long. */
const TOKEN_TTL_MS = 5_000;

/** Refusals that are told one by one. */
const LINES_A_MINUTE = 60;

/** What a token lets a device do. */
interface Admitted {
  readonly groupId: number;
  /** For a device that is new. */
  readonly takeNew: (deviceId: string) => Promise<GiveBack>;
  /** After that. False when the token has no room for it. */
  readonly takePlace: (deviceId: string) => Promise<boolean>;
  /** For one that has another secret. */
  readonly chargeAgain: (deviceId: string) => Promise<void>;
}

/**
 * `POST /v1/enroll`. The device makes its secret, so a lost answer is repeated by asking again: the same secret changes
 * nothing, another one means that the card was re-imaged and gets a new epoch. One that was replaced is refused for good.
 */
export const enrolRoute = (options: EnrolRouteOptions): RequestHandler => {
  const {shards, keys, credentials, hints, secretToken, region, fromShard, controlDoor, newDevices} = options;
  const {usedUp, reEnrolments, admission, log, registry, now} = options;
  const line = createLineQuota(LINES_A_MINUTE, now);
  const tokens = createTokenCache({
    find: (hash) => findEnrolmentToken(shards, Buffer.from(hash, 'hex')),
    door: controlDoor,
    now,
    freshMs: TOKEN_TTL_MS,
    staleMs: 0,
  });
  const outcomes = new Counter({
    name: 'pisync_device_api_enrolments_total',
    help: 'Enrolments by outcome: created, repeated, replaced by a new secret, or why a device was refused',
    labelNames: ['outcome'] as const,
    registers: [registry],
  });

  /** A new secret shuts another one out, and a refusal may be somebody who tries to: both are on record. */
  const note = (
    outcome: Enrolled['kind'] | Refused['why'] | 'too-many',
    fields: {readonly deviceId: string; readonly groupId?: number},
  ): void => {
    outcomes.inc({outcome});
    if (outcome === 'created' || outcome === 'repeated') return;
    if (outcome === 'replaced') {
      log.info({...fields, outcome}, 'a device enrolled anew, with another secret');
      return;
    }
    const leftOut = line();
    if (leftOut !== undefined) log.warn({...fields, outcome, leftOut}, 'an enrolment was refused');
  };

  const admittedBy = async (token: string): Promise<Admitted> => {
    const hash = tokenHash(token);
    const hex = hash.toString('hex');
    const noted = async <T>(deviceId: string, ask: () => Promise<T>): Promise<T> => {
      try {
        return await ask();
      } catch (error) {
        note('too-many', {deviceId});
        throw error;
      }
    };
    const takeNew = (deviceId: string): Promise<GiveBack> =>
      noted(deviceId, async () => {
        usedUp.check(hex);
        return newDevices.take(hex);
      });
    const chargeAgain = (deviceId: string): Promise<void> => noted(deviceId, () => reEnrolments.charge(deviceId, hex));
    if (await secretToken.matches(hex)) {
      return {groupId: DEFAULT_GROUP, takeNew, takePlace: () => Promise.resolve(true), chargeAgain};
    }
    const known = await fromShard(tokens.find(hex));
    if (known === undefined) {
      throw new AppError('unauthenticated', 'the enrolment token is unknown, expired or revoked');
    }
    return {
      groupId: known.groupId,
      takeNew,
      chargeAgain,
      async takePlace(deviceId) {
        const hasPlace = await controlDoor(() => takePlace(shards, hash, deviceId));
        if (!hasPlace) await usedUp.charge(hex);
        return hasPlace;
      },
    };
  };

  const take = async (request: IncomingMessage, call: AdmittedCall) => {
    const body = parseEnrolBody(await readBody(request, BODY_LIMITS, call));
    const token = body.enrolmentToken ?? bearerToken(request);
    if (token === undefined) {
      throw new AppError('unauthenticated', 'an enrolment token is needed, as bearer token or as enrolmentToken');
    }
    const {groupId, takeNew, takePlace: place, chargeAgain} = await admittedBy(token);
    const {hardwareId, secret, name, model, tags} = body;
    const deviceId = deviceIdOf(hardwareId);
    const secretHash = tokenHash(secret);
    let giveBack: GiveBack | undefined;
    const enrolled = enrol(shards, keys, {
      ...{deviceId, hardwareId, secretHash, groupId, name, model, tags},
      takePlace: async () => {
        giveBack = await takeNew(deviceId);
        return place(deviceId);
      },
      beforeAgain: () => chargeAgain(deviceId),
    }).then((outcome) => {
      if (outcome.kind === 'created') giveBack = undefined;
      return outcome;
    });
    const enrolment = await fromShard(enrolled.finally(() => giveBack?.()));
    note(enrolment.kind === 'refused' ? enrolment.why : enrolment.kind, {deviceId, groupId});
    if (enrolment.kind === 'refused') {
      // Whoever revoked it in the database may not have told the caches.
      if (enrolment.why === 'revoked') await credentials.invalidate(deviceId);
      throw enrolRefusal(enrolment);
    }
    const {kind, deviceKey, slot, epoch} = enrolment;
    // Also of one that is repeated: the commit of the first may have lost its answer, and then nobody was told.
    await credentials.introduce({deviceId, deviceKey, slot, secretHash, epoch, revoked: false});
    // The device asks what is applied before it uses a number. Nothing can be yet, so a shard that is slow then need not say so.
    if (kind !== 'repeated') await hints.write(deviceId, {applied: {epoch, through: 0}});
    return {deviceId, secret, epoch};
  };

  return async (request, response) => {
    // Enrolment needs no broker. Its token may stand in the body, so anybody may send one.
    const call = admission.enter({broker: false, stranger: true});
    const {deviceId, secret, epoch} = await take(request, call).finally(() => call.leave());
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify({
        deviceId,
        credential: formatCredential({deviceId, secret}),
        epoch: formatEpoch(epoch),
        ...bindingOf(region(), request.query.nonce),
        policy: POLICY,
      }),
    );
  };
};

/** What a device that is not let in is told. */
export const enrolRefusal = (refused: Refused): AppError => {
  switch (refused.why) {
    case 'revoked':
      return new AppError('forbidden', 'this device was revoked by an administrator');
    case 'no-place':
      return new AppError('forbidden', 'the enrolment token has let in as many devices as it may');
    case 'other-group':
      return new AppError('forbidden', 'a device with this hardware id is in another group; its token is needed');
    case 'secret-replaced':
      return new AppError('secret-replaced', 'this secret was replaced by another one; enrol with a new secret');
    case 'too-often':
      return new AppError('rate-limited', 'this device had too many new secrets; is its hardware id used twice?', {
        retryAfterSeconds: refused.retryAfterSeconds,
      });
  }
};
