import {createHash} from 'node:crypto';
import {AppError} from '@pisync/core/errors/app-error';

/**
 * An entity tag of the content, which begins with its revision where it has one. Weak (RFC 9110, 8.8.1): what is sent is compressed or not, and an answer may differ in
 * what its tag is not of.
 */
export const etagOf = (content: string | Buffer, revision?: number): string => {
  const hash = createHash('sha256').update(content).digest('base64url').slice(0, 27);
  return `W/"${revision === undefined ? '' : `${revision}.`}${hash}"`;
};

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

/** A tag; of ours that has a revision, the revision alone is enough. */
const TAG = /^(?:W\/)?"(?:(?<revision>\d{1,9})(?:\.[\w-]*)?|[^"]*)"$/;

/**
 * The revisions that an `If-Match` header names: `"7"`, or the ETag of what has revision 7. Weak ones count, because a tag that is not ours has no revision. Undefined for
 * `*`: any.
 * @throws AppError `precondition-required` without the header, `bad-request` where it is none.
 */
export const revisionsIn = (header: string | undefined): readonly number[] | undefined => {
  if (header === undefined) {
    throw new AppError(
      'precondition-required',
      'Say by If-Match what you have seen: the ETag of the answer, or its revision in quotes.',
    );
  }
  if (header.trim() === '*') return undefined;
  return header.split(',').flatMap((text) => {
    const tag = TAG.exec(text.trim());
    if (tag === null) {
      throw new AppError(
        'bad-request',
        'If-Match must be the ETag of an answer, or a revision in quotes such as "7"; or several with commas, or *.',
      );
    }
    const revision = tag.groups?.['revision'];
    return revision === undefined ? [] : [Number(revision)];
  });
};
