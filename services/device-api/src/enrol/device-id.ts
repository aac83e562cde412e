import {createHash} from 'node:crypto';

/** Ours alone and fixed for ever: another namespace would give every device another id. */
const NAMESPACE = Buffer.from('5f2b8a1c6d3e4f709a1bc2d3e4f50617', 'hex');

/** uuid version 5 (RFC 9562, 5.5) of a hardware id: the same device gets the same id without anybody keeping a directory. */
export const deviceIdOf = (hardwareId: string): string => {
  const bytes = createHash('sha1').update(NAMESPACE).update(hardwareId).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
};
