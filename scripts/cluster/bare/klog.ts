/**
 * The last error in the log of a Kubernetes component, without its header.
 *
 * A line of klog begins with the severity, month and day, time, process and `file:line]`
 * (https://github.com/kubernetes/klog, "Log formatting").
 */
export const lastKlogError = (log: string): string | undefined =>
  log
    .split('\n')
    .findLast((line) => /^[EF]\d{4} /.test(line))
    ?.replace(/^[^\]]*\] /, '');
