/** When each sync of a simulated fleet is due: an open loop, in which a slow answer delays nobody else's request. */

export interface Arrivals {
  /** From the first due time to the last. */
  readonly durationMs: number;
  /** The rate grows from zero to its full height within this time. At most the duration. */
  readonly rampMs: number;
}

/**
 * The due time of the request at share `u` of all requests, in ms from the start. The rate is c·t/ramp during the ramp and c after it; c follows from
 * the area being 1, and this is the inverse of that area.
 *
 * @param u in [0, 1)
 */
export const arrivalMs = (u: number, {durationMs, rampMs}: Arrivals): number => {
  const ramp = Math.min(rampMs, durationMs);
  const rate = 1 / (durationMs - ramp / 2 || 1);
  const inRamp = (rate * ramp) / 2;
  return u < inRamp ? Math.sqrt((2 * ramp * u) / rate) : ramp / 2 + u / rate;
};
