/** What ties an answer to its call, so that a device can tell it from one that was cached, mixed up, or given by somebody else. */

export interface Binding {
  /** The public name of the region that answers. */
  readonly region: string;
  /** As the call has it in its address, where neither proxies take it away nor caches overlook it. */
  readonly nonce?: string;
}

const NONCE = /^[A-Za-z0-9._~-]{1,64}$/;

/** @param nonce what stands in the query; anything that is no nonce is left out */
export const bindingOf = (region: string, nonce: unknown): Binding =>
  typeof nonce === 'string' && NONCE.test(nonce) ? {region, nonce} : {region};
