/**
 * Three faults of postgres 3.4.9, mended while it is bundled, until a release has them mended (of the first two:
 * https://github.com/porsager/postgres/issues/1208 and pull/1209):
 *
 * - A transaction whose connection breaks sends its ROLLBACK over the connection that is gone. That throws where
 *   nobody can catch it, and took the whole shard down each time PostgreSQL restarted: the statement fails instead.
 * - What waited to be written when a connection broke stayed, and so did the mark that a write is due: after the
 *   reconnect nothing was written any more, until time-outs had piled up enough to be written at once.
 * - A certificate is checked against `localhost` where the server is named by an IP address, which is no server name
 *   of TLS.
 */
const MENDED = [
  {
    found: "      return queryError(q, Errors.connection('CONNECTION_DESTROYED', options))\n",
    after:
      "\n    if (!socket)\n      return queryError(q, Errors.connection('CONNECTION_CLOSED', options)), true\n",
  },
  {
    found: '    incomings = null\n    clearImmediate(nextWriteTimer)\n',
    after: '    chunk = nextWriteTimer = null\n',
  },
  {
    found: '    const options = {\n      socket,\n',
    after: '      host: socket.host,\n',
  },
];

/** @returns a plugin of the bundler; it throws where the driver isn't what it was written for */
export function mendPostgres() {
  return {
    name: 'mend-postgres',
    transform(code, id) {
      if (!id.endsWith('/postgres/src/connection.js')) return null;
      return MENDED.reduce((mended, { found, after }) => {
        const parts = mended.split(found);
        if (parts.length !== 2) throw new Error(`postgres isn't as expected: ${JSON.stringify(found)}`);
        return parts.join(found + after);
      }, code);
    },
  };
}
