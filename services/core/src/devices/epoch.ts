/** Epochs on the wire are opaque to devices: the letter and the ordinal that the database keeps. */
export const formatEpoch = (ordinal: number): string => `e${ordinal}`;

/** Undefined for a text that this region never issued. */
export const parseEpoch = (text: string): number | undefined => {
  const digits = /^e([1-9]\d{0,8})$/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
};
