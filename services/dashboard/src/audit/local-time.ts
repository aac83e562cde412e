/** What an `<input type="datetime-local">` has, in the reader's time zone; empty where there is no moment. */
export const localOf = (at: string | undefined): string => {
  const moment = at === undefined ? NaN : Date.parse(at);
  if (Number.isNaN(moment)) return '';
  const offsetMs = new Date(moment).getTimezoneOffset() * 60_000;
  return new Date(moment - offsetMs).toISOString().slice(0, 16);
};

/** The moment that such an input names; undefined where it is empty. */
export const momentOf = (local: string): string | undefined => {
  const moment = Date.parse(local);
  return Number.isNaN(moment) ? undefined : new Date(moment).toISOString();
};
