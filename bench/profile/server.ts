/** Starts the server with V8's profiler on: one file for each thread in PROFILE_DIR, written when it ends. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const flags = ['--cpu-prof', `--cpu-prof-dir=${process.env.PROFILE_DIR}`];
const child = spawn(process.execPath, [...flags, entry], { stdio: 'inherit' });
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
