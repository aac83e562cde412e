import {createHash} from 'node:crypto';

/** An entity tag of the content. Weak (RFC 9110, 8.8.1): what is sent is compressed or not, and an answer may differ in what its tag is not of. */
export const etagOf = (content: string | Buffer): string =>
  `W/"${createHash('sha256').update(content).digest('base64url').slice(0, 27)}"`;

/**
 * Whether an `If-None-Match` header names the tag, as weak tags are compared (RFC 9110, 13.1.2).
 * @param header Undefined where the request has none.
 */
export const knowsEtag = (header: string | undefined, etag: string): boolean =>
  (header ?? '')
    .split(',')
    .map((tag) => opaque(tag.trim()))
    .some((tag) => tag === opaque(etag) || tag === '*');

const opaque = (tag: string): string => tag.replace(/^W\//, '');
