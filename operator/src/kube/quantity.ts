/** Powers of ten by suffix. `E` alone is 10^18; followed by digits it is an exponent. */
const DECIMAL: Readonly<Record<string, number>> = {n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18};
/** Powers of two by suffix. */
const BINARY: Readonly<Record<string, bigint>> = {Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n};

const QUANTITY = /^\+?(\d+(?:\.\d*)?|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?$/;

/** More than anybody writes, and far less than what takes a moment to be made a number of. */
const LONGEST = 64;

/** Billionths, below which Kubernetes counts nothing. */
const UNIT = 9;

/**
 * A Kubernetes quantity that is not negative (`0.7`, `700m`, `1Pi`, `1e3`, `.5`) in exact billionths; undefined for anything else.
 * The API server spells quantities in its own way (`700m` for `0.7`, `1Pi` for `1024Ti`), so they are compared as numbers, and floats would not do.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export const quantityNanos = (quantity: unknown): bigint | undefined => {
  const text = typeof quantity === 'number' ? String(quantity) : quantity;
  const match = typeof text === 'string' && text.length <= LONGEST ? QUANTITY.exec(text) : undefined;
  if (match?.[1] === undefined) return undefined;
  const [whole = '', fraction = ''] = match[1].split('.');
  const exponent = Number(match[3] ?? DECIMAL[match[2] ?? ''] ?? 0) + UNIT - fraction.length;
  const digits = BigInt(`${whole}${fraction}`) << (BINARY[match[2] ?? ''] ?? 0n);
  return exponent >= 0 ? digits * 10n ** BigInt(exponent) : roundedUp(digits, 10n ** BigInt(-exponent));
};

/** As Kubernetes does with what is smaller than a billionth. */
const roundedUp = (dividend: bigint, divisor: bigint): bigint => (dividend + divisor - 1n) / divisor;
