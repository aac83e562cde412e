/**
 * How far beyond what is applied without a gap the number of a batch may be. Devices stay within 64; the rest is room for what comes out of order after an
 * outage. The bound keeps the row of a device small, and the database checks it.
 */
export const MAX_AHEAD = 1024;
