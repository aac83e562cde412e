/** How large a region may be declared. Operator, services and keeper refuse what is larger, so a larger number has to reach the services first. */
export const MAX_SHARDS = 64;
/** Queues that batches are spread over. */
export const MAX_PARTITIONS = 64;
export const MAX_BROKER_NODES = 5;
