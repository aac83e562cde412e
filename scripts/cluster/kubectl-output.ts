/** Readers of what kubectl prints. */

/** The API server's version in the output of `kubectl version --output=json`, for example `v1.37.2`. */
export function parseServerVersion(json: string): string {
  const parsed: unknown = JSON.parse(json);
  if (typeof parsed === 'object' && parsed !== null && 'serverVersion' in parsed) {
    const {serverVersion} = parsed;
    if (
      typeof serverVersion === 'object' &&
      serverVersion !== null &&
      'gitVersion' in serverVersion &&
      typeof serverVersion.gitVersion === 'string'
    )
      return serverVersion.gitVersion;
  }
  throw new Error(`kubectl version printed something unexpected: ${json.slice(0, 500)}`);
}

/** Names in the output of `kubectl get nodes --output=name`. */
export const parseNodeNames = (text: string): readonly string[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.replace(/^node\//, ''));
