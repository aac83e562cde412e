import {StringDecoder} from 'node:string_decoder';

/** The lines of a stream, as they come; empty ones and a last one without an end are left out. */
export async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let parts: string[] = [];
  for await (const chunk of body) {
    const pieces = decoder.write(chunk).split('\n');
    const last = pieces.pop() ?? '';
    for (const piece of pieces) {
      const line = parts.join('') + piece;
      parts = [];
      if (line !== '') yield line;
    }
    if (last !== '') parts.push(last);
  }
}
