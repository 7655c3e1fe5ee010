/** The server that is fuzzed, on a database of its own; both are gone afterwards. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const LEVEL_ERROR = 50; // pino's

export interface FuzzedServer {
  readonly origin: string;
  readonly pid: number;
  running(): boolean;
  /** Log lines at level error or above. */
  errors(): readonly string[];
  /** SIGTERM. @returns its exit code */
  stop(): Promise<number | null>;
}

/** @param env added to settings that turn the limits off */
export async function startFuzzedServer(env: Readonly<Record<string, string>> = {}): Promise<FuzzedServer> {
  const directory = mkdtempSync(join(tmpdir(), 'parley-fuzz-'));
  const child = spawn(process.execPath, ['dist/src/main.js'], {
    env: {
      ...process.env,
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: '0',
      METRICS_PORT: '0',
      DATA_DIR: directory,
      RATE_LIMIT_PER_MINUTE: '0',
      AUTH_RATE_LIMIT_PER_MINUTE: '0',
      UPLOADS_PER_MINUTE: '0',
      WS_SENDS_PER_SECOND: '0',
      PASSWORD_HASH_MEMORY_KIB: '1024',
      PASSWORD_HASH_PASSES: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const errors: string[] = [];
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const port = await new Promise<number>((resolve, reject) => {
    void ended.then((code) => reject(new Error(`the server exited with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line) as { level: number | string; event: string; port: number };
      if (entry.level === 'error' || entry.level === 'fatal' || Number(entry.level) >= LEVEL_ERROR)
        errors.push(line);
      if (entry.event === 'listening') resolve(entry.port);
    });
  });
  return {
    origin: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    running: () => child.exitCode === null && child.signalCode === null,
    errors: () => errors,
    async stop() {
      child.kill('SIGTERM');
      const code = await ended;
      rmSync(directory, { recursive: true, force: true });
      return code;
    },
  };
}
