/** What a program's `main.ts` exports: nothing runs when it is imported. */
export interface MainModule {
  readonly main: (argv: readonly string[]) => Promise<void>;
}

/** Loads a program that was bundled beside the entry; only its own chunks are read. */
export async function loadProgram(name: string, beside: string): Promise<MainModule> {
  // The bundler writes each of these from a main.ts, and an image is only built when all of them exist.
  return (await import(new URL(`./${name}.mjs`, beside).href)) as MainModule;
}
