import {type ApiClient, type ApiRequest, type ApiResponse} from '../api-client.ts';
import {ApiError} from '../errors.ts';

interface StoredLease {
  readonly metadata: {readonly resourceVersion: string};
  readonly spec: {readonly holderIdentity: string};
}

/** The part of an API server that elections need: one Lease with optimistic concurrency. */
export class FakeLeaseServer implements Pick<ApiClient, 'send'> {
  lease: StoredLease | undefined;
  isDown = false;
  #version = 0;

  /** Every holder that the Lease has had, in order. */
  readonly holders: string[] = [];

  send(call: ApiRequest): Promise<ApiResponse> {
    if (this.isDown) return Promise.reject(new Error('connection refused'));
    if (call.method === 'GET') {
      return this.lease === undefined ? fail(404) : Promise.resolve({status: 200, body: this.lease});
    }
    // Only elections use this server, and they send Leases.
    const sent = call.body as StoredLease;
    if (call.method === 'POST' && this.lease !== undefined) return fail(409);
    if (call.method === 'PUT' && sent.metadata.resourceVersion !== this.lease?.metadata.resourceVersion)
      return fail(409);
    this.#version++;
    this.lease = {...sent, metadata: {...sent.metadata, resourceVersion: String(this.#version)}};
    const {holderIdentity} = sent.spec;
    if (this.holders.at(-1) !== holderIdentity) this.holders.push(holderIdentity);
    return Promise.resolve({status: 200, body: this.lease});
  }
}

const fail = (status: number): Promise<never> => Promise.reject(new ApiError(`answered ${status}`, {status}));
