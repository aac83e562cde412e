/** Bounds how many bytes are worked on at once, whoever works on them. */
export interface ByteGate {
  /** Resolves when there is room for so many, first come first served, with what is to be called once when they are done with. */
  enter(bytes: number): Promise<() => void>;
}

/** What alone is more than `maxBytes` enters when nothing else is inside, and nothing enters beside it. */
export const createByteGate = (maxBytes: number): ByteGate => {
  const waiting: {readonly bytes: number; readonly admit: () => void}[] = [];
  let inside = 0;

  const pump = (): void => {
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      if (inside > 0 && inside + next.bytes > maxBytes) return;
      inside += next.bytes;
      waiting.shift();
      next.admit();
    }
  };

  return {
    enter: (bytes) =>
      new Promise((resolve) => {
        const leave = (): void => {
          inside -= bytes;
          pump();
        };
        waiting.push({bytes, admit: () => resolve(leave)});
        pump();
      }),
  };
};
