import {z} from 'zod';
import type {BrokerNames} from './names.ts';
import type {Publisher} from './publisher.ts';

/** A message that cannot be applied anywhere, on its way to the control schema: a four byte length (big endian), a JSON header, and its bytes. */
export interface Unreadable {
  readonly reason: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly content: Buffer;
}

const headerSchema = z.object({reason: z.string(), detail: z.record(z.string(), z.unknown())});
const LENGTH_BYTES = 4;

const encodeUnreadable = ({reason, detail, content}: Unreadable): Buffer => {
  const header = Buffer.from(JSON.stringify({reason, detail}));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(header.length);
  return Buffer.concat([length, header, content]);
};

/** Never throws: of what somebody else has put there all is kept. */
export const decodeUnreadable = (message: Buffer): Unreadable => {
  try {
    const start = LENGTH_BYTES + message.readUInt32BE();
    const header = headerSchema.parse(JSON.parse(message.toString('utf8', LENGTH_BYTES, start)));
    return {...header, content: message.subarray(start)};
  } catch {
    return {reason: 'a message in the queue of unreadable ones is none of them', detail: {}, content: message};
  }
};

/** @throws what {@link Publisher}.publish throws, also when the queue is full */
export const publishUnreadable = (
  publisher: Pick<Publisher, 'publish'>,
  {unreadable}: BrokerNames,
  message: Unreadable,
): Promise<void> =>
  publisher.publish({
    // The default exchange, where a queue's name is its key.
    exchange: '',
    routingKey: unreadable.queue,
    content: encodeUnreadable(message),
    contentType: 'application/octet-stream',
  });
