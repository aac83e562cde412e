/** So many ids of one call are looked at; a device is told of ten commands at a time. */
const MAX_ACKS = 20;

const COMMAND_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The commands that a sync call says are done (`pull.cmdAcks`), by their ids.
 * @param pull as it came: what is not a list of ids says nothing
 */
export const cmdAcksOf = (pull: unknown): readonly string[] => {
  if (typeof pull !== 'object' || pull === null || !('cmdAcks' in pull) || !Array.isArray(pull.cmdAcks)) return [];
  // Array.isArray leaves the elements untyped.
  const listed = pull.cmdAcks.slice(0, MAX_ACKS) as readonly unknown[];
  return listed.filter((id): id is string => typeof id === 'string' && COMMAND_ID.test(id));
};
