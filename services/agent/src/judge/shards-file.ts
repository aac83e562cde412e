/**
 * Reads what a shards file says: one connection string of a database a line. It is a file because the strings hold passwords,
 * and what a process is called with can be read by everybody on the machine.
 * @throws when there is no shard, or a line is none; the line is not repeated, for the same reason.
 */
export const parseShards = (text: string, path: string): readonly string[] => {
  const urls: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const url = line.trim();
    if (url === '') continue;
    if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) {
      throw new Error(`line ${index + 1} of ${path} is not postgres://user:password@host:port/database`);
    }
    urls.push(url);
  }
  if (urls.length === 0) throw new Error(`${path} lists no shard; it needs one postgres://… a line`);
  return urls;
};
