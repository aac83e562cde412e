/** Something that the user must change first: a wrong option, a missing right, another checkout's cluster. Ends the program with code 2. */
export class Refusal extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, {cause});
    this.name = 'Refusal';
  }
}
