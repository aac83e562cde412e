/** Runs `load` once for all that ask for the same key while it runs; nothing is kept afterwards. */
export const createSingleFlight = <T>(): ((key: string, load: () => Promise<T>) => Promise<T>) => {
  const flights = new Map<string, Promise<T>>();
  return (key, load) => {
    const known = flights.get(key);
    if (known !== undefined) return known;
    const flight = load().finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };
};
