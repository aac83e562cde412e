import type {RequestHandler} from 'express';
import {AppError} from '@pisync/core/errors/app-error';
import {listReceiptsAfter} from '@pisync/core/receipts/receipts';
import type {Shards} from '@pisync/core/shards/shards';
import {bindingOf} from '../answers/binding.ts';
import {authenticate} from '../credentials/authenticator.ts';
import {shownCredential} from '../credentials/bearer.ts';
import type {CredentialStore} from '../credentials/credential-store.ts';
import type {Admission} from '../limits/admission.ts';
import type {DeviceQuota} from '../limits/device-quota.ts';
import type {FromShard} from '../shard-fault.ts';
import {formatEpoch, parseEpoch} from '@pisync/core/devices/epoch';
import {receiptId} from '../sync/receipt-id.ts';

export interface ReceiptsRouteOptions {
  readonly credentials: CredentialStore;
  readonly quota: DeviceQuota;
  readonly admission: Admission;
  readonly shards: Shards;
  readonly fromShard: FromShard;
  readonly region: () => string;
}

const PAGE = 200;

/**
 * `GET /v1/sync/receipts?after=<batchSeq>[&epoch=<epoch>]`: what became of each batch, oldest first, of the device's newest
 * epoch unless it names another. `more` says that the last one is not the end.
 */
export const receiptsRoute =
  ({credentials, quota, admission, shards, fromShard, region}: ReceiptsRouteOptions): RequestHandler =>
  async (request, response) => {
    const device = await authenticate(credentials, shownCredential(request));
    quota.take(device.deviceId);
    const {after = '0', epoch: epochText} = request.query;
    const epoch =
      epochText === undefined ? device.epoch : typeof epochText === 'string' ? parseEpoch(epochText) : undefined;
    if (typeof after !== 'string' || !/^\d{1,15}$/.test(after)) {
      throw new AppError('bad-request', 'after must be a batch number');
    }
    if (epoch === undefined) throw new AppError('bad-request', 'epoch must be one that this region issued');
    const call = admission.enter({broker: false, stranger: false});
    // It has no body.
    call.arrived();
    const found = await fromShard(
      listReceiptsAfter(shards, device, {epoch, after: Number(after), limit: PAGE + 1}),
    ).finally(() => call.leave());
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify({
        ...bindingOf(region(), request.query.nonce),
        deviceId: device.deviceId,
        epoch: formatEpoch(epoch),
        receipts: found.slice(0, PAGE).map(({batchSeq, outcome, recordCount, badCount, receivedAt, appliedAt}) => ({
          batchSeq,
          receipt: receiptId(device.deviceId, epoch, batchSeq),
          outcome,
          records: recordCount,
          bad: badCount,
          receivedAt: receivedAt.getTime(),
          appliedAt: appliedAt.getTime(),
        })),
        more: found.length > PAGE,
      }),
    );
  };
