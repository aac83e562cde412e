import {createCipheriv, createDecipheriv, hkdfSync, randomBytes} from 'node:crypto';

export interface Sealer {
  /** Text that nobody else reads or makes; `context` is covered but not contained. */
  seal(context: string, payload: unknown): Promise<string>;
  /** The payload as it was sealed for this context, else undefined. */
  open(context: string, sealed: string): Promise<unknown>;
}

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM with a key that is read at every use, so that a rotated key counts at once (and ends what the old one sealed). */
export const createSealer = (readKey: () => Promise<string>): Sealer => {
  // Of 32 bytes, whatever people put into the Secret.
  const key = async (): Promise<Uint8Array> =>
    new Uint8Array(hkdfSync('sha256', Buffer.from(await readKey(), 'base64url'), '', 'pisync cursors', 32));
  return {
    async seal(context, payload) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, await key(), nonce, {authTagLength: TAG_BYTES}).setAAD(
        Buffer.from(context),
      );
      const text = Buffer.concat([cipher.update(JSON.stringify(payload), 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url');
    },
    async open(context, sealed) {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv(CIPHER, await key(), nonce, {authTagLength: TAG_BYTES})
        .setAAD(Buffer.from(context))
        .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const start = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
      let text: Buffer;
      try {
        text = Buffer.concat([start, decipher.final()]);
      } catch {
        // It was not sealed with this key for this context.
        return undefined;
      }
      // Ours: it parses, and the reader of this context knows its shape.
      return JSON.parse(text.toString('utf8')) as unknown;
    },
  };
};
