/** The token with which a device enrols, from the file that its owner put it into. */
import {readFileSync} from 'node:fs';

/**
 * @param isEnrolled then the token is not needed before the region asks for a new enrolment, so a file that cannot be read is only told
 * @throws when there is no token in the file, or when it is needed now and cannot be read.
 */
export const readEnrolmentToken = (
  file: string | undefined,
  isEnrolled: boolean,
  tell: (text: string) => void,
): string | undefined => {
  if (file === undefined) {
    if (isEnrolled) return undefined;
    throw new Error('this device is not enrolled: give --enrolment-token-file');
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    const why = `cannot read the enrolment token: ${error instanceof Error ? error.message : String(error)}`;
    if (!isEnrolled) throw new Error(why, {cause: error});
    tell(`${why}; it is not needed until the region asks for a new enrolment`);
    return undefined;
  }
  // What a header may carry (RFC 9110, 5.5), and one word of it.
  if (!/^[\u0021-\u007e]+$/.test(text)) {
    throw new Error(`the enrolment token file ${file} ${text === '' ? 'is empty' : 'has more in it than one token'}`);
  }
  return text;
};
