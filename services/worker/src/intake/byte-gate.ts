/** Bounds how many bytes are worked on at once, whoever works on them. */
export interface ByteGate {
  /**
   * Resolves when there is room for so many, with what is to be called once when they are done with. First come first served, except that who is inside with its share already
   * lets others pass.
   */
  enter(who: number, bytes: number): Promise<() => void>;
}

/** What alone is more than `maxBytes` enters when nothing else is inside, and nothing enters beside it; nobody passes it either. */
export const createByteGate = (maxBytes: number, shareBytes = maxBytes): ByteGate => {
  const waiting: {readonly who: number; readonly bytes: number; readonly admit: () => void}[] = [];
  const inside = new Map<number, number>();
  let sum = 0;

  const hasShare = (who: number, bytes: number): boolean => {
    const own = inside.get(who) ?? 0;
    return bytes <= maxBytes && own > 0 && own + bytes > shareBytes;
  };

  const change = (who: number, bytes: number): void => {
    sum += bytes;
    inside.set(who, (inside.get(who) ?? 0) + bytes);
  };

  const pump = (): void => {
    for (;;) {
      const passed = new Set<number>();
      const index = waiting.findIndex(({who, bytes}) => {
        // In its own turn each.
        if (hasShare(who, bytes)) passed.add(who);
        return !passed.has(who);
      });
      const next = waiting[index];
      if (next === undefined || (sum > 0 && sum + next.bytes > maxBytes)) return;
      waiting.splice(index, 1);
      change(next.who, next.bytes);
      next.admit();
    }
  };

  return {
    enter: (who, bytes) =>
      new Promise((resolve) => {
        const leave = (): void => {
          change(who, -bytes);
          pump();
        };
        waiting.push({who, bytes, admit: () => resolve(leave)});
        pump();
      }),
  };
};
