/** An epoch as devices and people see it; shards keep the number. */
export const epochText = (epoch: number): string => `e${epoch}`;
