/** What a process of load says when it begins, so that its start is not measured. */
export const BEGUN = 'begun\n';
