import { createServer } from 'node:net';

/**
 * A port that nobody listens on: the one given, or any for 0. uWebSockets shares its port with whoever asks for the
 * same (SO_REUSEPORT) and so wouldn't notice that somebody else has it.
 *
 * @throws where it is taken
 */
export function freePort({ host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause) =>
      reject(new Error(`cannot listen on ${host}:${port}; is it in use?`, { cause })),
    );
    probe.listen({ host, port, exclusive: true }, () => {
      const address = probe.address();
      const found = typeof address === 'object' && address !== null ? address.port : port;
      probe.close(() => resolve(found));
    });
  });
}
