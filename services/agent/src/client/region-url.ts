/** @returns what is wrong with the address of a region as somebody gave it in `--url`; undefined when it is one. */
export const problemOfUrl = (text: string): string | undefined => {
  if (text === '') return '--url is missing';
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    return `--url must begin with https:// or http:// and a host name, not "${text}"`;
  const {pathname, search, hash, username, password} = url;
  if (username !== '' || password !== '') return '--url must not have a user name or password in it';
  return pathname === '/' && search === '' && hash === ''
    ? undefined
    : `--url must be an address without a path, such as ${url.origin}`;
};

/**
 * Where a 421 may send a device: its credential goes there, so only over TLS, and only to a host that is known.
 * @param hosts names of the configuration and of the last policy
 * @returns the address, or undefined where it is not to be followed
 */
export const permittedHome = (home: string | undefined, hosts: readonly string[]): string | undefined => {
  const url = home === undefined ? null : URL.parse(home);
  if (url?.protocol !== 'https:' || problemOfUrl(url.href) !== undefined || !hosts.includes(url.hostname))
    return undefined;
  return url.origin;
};
