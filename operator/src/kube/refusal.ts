import {ApiError, ApplyRefused, isDenied, oneLine} from './errors.ts';
import {type Key} from './object.ts';

/** How servers say that a field cannot change. */
const IMMUTABLE =
  /immutable|updates to .* are forbidden|forbidden: updates to|may not be (changed|updated)|cannot be changed/i;

const UNKNOWN_FIELD = /field not declared in schema/;

/** An answer that asking again at once will not change, as {@link ApplyRefused}; undefined for everything that may pass. */
export const refusalOf = (error: unknown, key: Key): ApplyRefused | undefined => {
  if (error instanceof ApplyRefused) return error;
  if (!(error instanceof ApiError)) return undefined;
  const {status, causes, message} = error;
  const said = oneLine(error.said);
  if (status === 422) {
    // Without a field it is the text of somebody's policy, which may be lifted at any time.
    const fields = causes
      .filter((cause) => cause.field !== '' && IMMUTABLE.test(cause.message))
      .map(({field}) => field);
    if (fields.length > 0) {
      return new ApplyRefused('immutable', key, `cannot be changed in place (${fields.join(', ')}): ${said}`, {
        fields,
        cause: error,
      });
    }
  }
  // A field that the kind does not have: server-side apply answers 500 where everything else answers 400.
  if (UNKNOWN_FIELD.test(message)) return new ApplyRefused('refused', key, said, {cause: error});
  // 400: unknown field or bad value; 403: quota, RBAC, Pod Security, a namespace on its way out; 404: no such namespace or kind; 413: too large for a policy or
  // the server. What a webhook says no to has whatever number the webhook likes.
  const isRefused = [400, 403, 404, 413, 422].includes(status) || isDenied(error);
  return isRefused ? new ApplyRefused('refused', key, said, {cause: error}) : undefined;
};
