/**
 * Version of the database schema that this release needs. A migration Job's name carries it and the image, so a new version is a new Job; the
 * operator updates services only after it, and a worker is not ready on a shard that has an older one. Equals the number of
 * the newest migration in core.
 */
export const SCHEMA_VERSION = 1;
