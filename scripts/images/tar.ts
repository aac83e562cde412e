/** A file's header in the POSIX ustar format, 512 bytes. `sizeBytes` up to 8 GiB, `name` up to 100 bytes. */
export function tarHeader(name: string, sizeBytes: number, mode = 0o644): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`tar: the name "${name}" is longer than 100 bytes`);
  if (sizeBytes >= 8 ** 11) throw new Error(`tar: "${name}" is larger than 8 GiB`);
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0);
  header.write(octal(mode, 8), 100);
  header.write(octal(0, 8), 108); // owner
  header.write(octal(0, 8), 116); // group
  header.write(octal(sizeBytes, 12), 124);
  header.write(octal(0, 12), 136); // modified at the epoch, so that equal content is an equal archive
  header.write(' '.repeat(8), 148); // the checksum counts itself as spaces
  header.write('0', 156); // a regular file
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148);
  return header;
}

/** The zero bytes that fill a file of `sizeBytes` up to whole blocks. */
export const tarPadding = (sizeBytes: number): Buffer => Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);

/** Two empty blocks end an archive. */
export const tarEnd = (): Buffer => Buffer.alloc(2 * BLOCK);

const BLOCK = 512;
const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\u0000`;
