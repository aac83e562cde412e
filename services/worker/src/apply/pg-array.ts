/**
 * PostgreSQL arrays in its binary format (array_send in utils/adt/arrayfuncs.c): a parameter that is a Buffer is sent as
 * binary, which spares both sides the quoting and unquoting of a thousand JSON documents.
 */

const OID = {bool: 16, int4: 23, int8: 20, text: 25, bytea: 17, date: 1082, timestamptz: 1184, jsonb: 3802} as const;
type Oid = (typeof OID)[keyof typeof OID];

/** Dimensions, has-nulls flag, element type, length, lower bound: five 32-bit words. */
const HEADER_BYTES = 20;
/** Microseconds and days from 1970, JavaScript's epoch, to 2000, PostgreSQL's. */
const EPOCH_SHIFT_MS = 946_684_800_000;
const DAY_MS = 86_400_000;

const writeHeader = (buffer: Buffer, oid: Oid, length: number): void => {
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
};

const writeInt8 = (buffer: Buffer, value: number, offset: number): void => {
  // Two words are several times as fast as a BigInt; the low one is taken unsigned, so floor also suits negative values.
  buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), offset);
  buffer.writeUInt32BE(value >>> 0, offset + 4);
};

const fixed = (
  oid: Oid,
  values: readonly (number | undefined)[],
  bytes: number,
  write: (buffer: Buffer, value: number, offset: number) => void,
): Buffer => {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + values.length * (4 + bytes));
  writeHeader(buffer, oid, values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    if (value === undefined) {
      offset = buffer.writeInt32BE(-1, offset);
      continue;
    }
    offset = buffer.writeInt32BE(bytes, offset);
    write(buffer, value, offset);
    offset += bytes;
  }
  return buffer.subarray(0, offset);
};

export const int4Array = (values: readonly number[]): Buffer =>
  fixed(OID.int4, values, 4, (buffer, value, offset) => buffer.writeInt32BE(value, offset));

export const boolArray = (values: readonly boolean[]): Buffer =>
  fixed(OID.bool, values.map(Number), 1, (buffer, value, offset) => buffer.writeUInt8(value, offset));

export const int8Array = (values: readonly number[]): Buffer => fixed(OID.int8, values, 8, writeInt8);

/** From milliseconds since 1970; undefined becomes null. Fractions of a microsecond are dropped. */
export const timestamptzArray = (values: readonly (number | undefined)[]): Buffer =>
  fixed(OID.timestamptz, values, 8, (buffer, value, offset) =>
    writeInt8(buffer, Math.floor((value - EPOCH_SHIFT_MS) * 1000), offset),
  );

/** From `YYYY-MM-DD`. */
export const dateArray = (days: readonly string[]): Buffer =>
  fixed(
    OID.date,
    days.map((day) => (Date.parse(day) - EPOCH_SHIFT_MS) / DAY_MS),
    4,
    (buffer, value, offset) => buffer.writeInt32BE(value, offset),
  );

export const byteaArray = (values: readonly (Buffer | undefined)[]): Buffer => {
  const total = values.reduce((sum, value) => sum + (value?.length ?? 0), 0);
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + 4 * values.length + total);
  writeHeader(buffer, OID.bytea, values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    offset = buffer.writeInt32BE(value?.length ?? -1, offset);
    if (value !== undefined) offset += value.copy(buffer, offset);
  }
  return buffer;
};

/** jsonb's binary form is a version byte before the text. */
const JSONB_VERSION = 1;

const texts = (oid: Oid, values: readonly (string | undefined)[], prefixBytes: 0 | 1): Buffer => {
  // A UTF-16 unit is at most three bytes of UTF-8.
  const bound = values.reduce((sum, value) => sum + 4 + prefixBytes + 3 * (value?.length ?? 0), HEADER_BYTES);
  const buffer = Buffer.allocUnsafe(bound);
  writeHeader(buffer, oid, values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    if (value === undefined) {
      offset = buffer.writeInt32BE(-1, offset);
      continue;
    }
    const start = offset + 4;
    if (prefixBytes === 1) buffer[start] = JSONB_VERSION;
    const bytes = prefixBytes + buffer.write(value, start + prefixBytes, 'utf8');
    buffer.writeInt32BE(bytes, offset);
    offset = start + bytes;
  }
  return buffer.subarray(0, offset);
};

export const textArray = (values: readonly (string | undefined)[]): Buffer => texts(OID.text, values, 0);

/** From JSON texts; undefined becomes null. */
export const jsonbArray = (values: readonly (string | undefined)[]): Buffer => texts(OID.jsonb, values, 1);
