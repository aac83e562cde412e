/** The address of a server that tests run against, such as PISYNC_TEST_AMQP_URL. @throws Error that names the variable where it is not set */
export const serverAddress = (variable: string): URL => {
  const text = process.env[variable];
  if (text === undefined || text === '') throw new Error(`${variable} is not set: the address of a server for tests`);
  return new URL(text);
};
