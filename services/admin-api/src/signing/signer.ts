import {createHmac, timingSafeEqual} from 'node:crypto';

export interface Signer {
  /** `<payload in base64url>.<signature>`; `context` is covered by the signature but not contained. */
  seal(context: string, payload: unknown): Promise<string>;
  /** The payload as it was sealed for this context, else undefined. */
  open(context: string, sealed: string): Promise<unknown>;
}

/** HMAC-SHA256 with a key that is read at every use, so that a rotated key counts at once (and ends what the old one signed). */
export const createSigner = (readKey: () => Promise<string>): Signer => {
  const sign = async (context: string, text: string): Promise<Buffer> => {
    const mac = createHmac('sha256', Buffer.from(await readKey(), 'base64url'));
    // JSON quotes each part: no two different (context, text) give the same bytes.
    return mac.update(JSON.stringify([context, text])).digest();
  };
  return {
    async seal(context, payload) {
      const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
      return `${text}.${(await sign(context, text)).toString('base64url')}`;
    },
    async open(context, sealed) {
      const [text, signature, ...rest] = sealed.split('.');
      if (text === undefined || signature === undefined || rest.length > 0) return undefined;
      const expected = await sign(context, text);
      const given = Buffer.from(signature, 'base64url');
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
      // Ours, by the signature: it parses, and the reader of this context knows its shape.
      return JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as unknown;
    },
  };
};
