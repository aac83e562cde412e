/** How delays grow from failure to failure. */
export interface BackoffPolicy {
  readonly firstMs: number;
  readonly longestMs: number;
  /** 0..1: the share of a delay that is random, so that many clients do not come back together. */
  readonly jitter: number;
}

/** The delay before attempt number `failures + 1`: doubles from `firstMs` up to `longestMs`; `random` in [0, 1). */
export const backoffDelayMs = (policy: BackoffPolicy, failures: number, random: number): number => {
  // 2^40 ms is 34 years: the exponent is cut there so that the number stays finite.
  const grown = policy.firstMs * 2 ** Math.min(Math.max(0, failures - 1), 40);
  const capped = Math.min(grown, policy.longestMs);
  return capped * (1 - policy.jitter + policy.jitter * random);
};
