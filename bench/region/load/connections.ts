import {connectHttp, type HttpConnection} from '../../http-connection.ts';

/** Kept-alive connections to one host, made when they are wanted and at most so many. Whoever finds none free waits for one. */
export class Connections {
  readonly #open: () => Promise<HttpConnection>;
  readonly #most: number;
  readonly #free: HttpConnection[] = [];
  readonly #waiting: ((connection: HttpConnection | undefined) => void)[] = [];
  #count = 0;

  constructor(url: URL, host: string, most: number) {
    this.#open = () => connectHttp(url, host);
    this.#most = most;
  }

  /** @throws Error when a new one cannot be made */
  async take(): Promise<HttpConnection> {
    for (let free = this.#free.pop(); free !== undefined; free = this.#free.pop()) {
      if (free.isOpen) return free;
      this.#count -= 1;
    }
    const given = this.#count < this.#most ? undefined : await this.#turn();
    if (given !== undefined) return given;
    this.#count += 1;
    try {
      return await this.#open();
    } catch (error) {
      this.#ended();
      throw error;
    }
  }

  giveBack(connection: HttpConnection): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(connection);
    else next(connection);
  }

  /** For one that failed. */
  drop(connection: HttpConnection): void {
    connection.close();
    this.#ended();
  }

  /** Those that nobody uses; new ones are made when they are wanted. */
  close(): void {
    for (const connection of this.#free.splice(0)) {
      connection.close();
      this.#count -= 1;
    }
  }

  /** Whoever waits longest may make one in its place. */
  #ended(): void {
    this.#count -= 1;
    this.#waiting.shift()?.(undefined);
  }

  #turn(): Promise<HttpConnection | undefined> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
