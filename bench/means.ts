/** The mean of a Prometheus histogram of one series, from the text that a process answers to /metrics; NaN before its first value. */
export const histogramMean = (metrics: string, name: string): number => {
  const value = (suffix: string): number =>
    Number(new RegExp(`^${name}_${suffix}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(metrics)?.[1] ?? NaN);
  return value('sum') / value('count');
};
