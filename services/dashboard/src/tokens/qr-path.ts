import {encodeQR} from 'qr';

/** White around it, by which readers find it (ISO/IEC 18004, 9.1). */
const QUIET_MODULES = 4;

/** A QR code: how many modules it is wide, and its dark ones as an SVG path, one unit a module. */
export const qrPath = (text: string): {readonly size: number; readonly path: string} => {
  // It is read from a screen, where nothing is scratched.
  const rows = encodeQR(text, 'raw', {ecc: 'low', border: QUIET_MODULES});
  const path = rows.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
  return {size: rows.length, path: path.join('')};
};
