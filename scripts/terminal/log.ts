/** Takes one line of progress, without a newline. Where it ends up (a terminal, a file, nowhere) is the caller's business. */
export type Log = (line: string) => void;
