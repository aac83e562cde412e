const CUT = '...';

/**
 * The beginning of a text that is longer than `bytes` of UTF-8, which is how the API server counts; no character is cut in two. Some messages quote what
 * others wrote (a certificate's names, a server's answer), and one that is too long would cost the whole status or event.
 */
export const cutText = (text: string, bytes: number): string => {
  const whole = Buffer.from(text);
  if (whole.length <= bytes) return text;
  let end = bytes - CUT.length;
  // 10xxxxxx continues a character.
  while (((whole[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${whole.toString('utf8', 0, end)}${CUT}`;
};
