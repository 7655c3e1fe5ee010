/** A run from beginning to end: server, measuring, judging, files. */

import { dialectOf } from './dialects.js';
import { checkDescriptors } from './loader-plans.js';
import { readMachineFacts } from './machine.js';
import { measure, type Say, type Subject } from './measure.js';
import type { LoadOptions } from './options.js';
import { dataDirOf, findPostmaster } from './postgres-process.js';
import { type MergedRun, mergeReports } from './result.js';
import { type ServerProcess, startServer } from './server-process.js';

async function findSubject(options: LoadOptions, server: ServerProcess | undefined): Promise<Subject> {
  const serverPid = server?.pid ?? options.serverPid;
  const dataDir = server?.dataDir ?? (serverPid === undefined ? undefined : await dataDirOf(serverPid));
  const found = dataDir === undefined ? undefined : await findPostmaster(dataDir);
  const origins = server === undefined ? options.urls.map((url) => new URL(url).origin) : [server.origin];
  const { path } = dialectOf(options.dialect);
  return {
    origins,
    socketUrls: server?.socketUrl === undefined ? origins.map((origin) => origin + path) : [server.socketUrl],
    server,
    serverPid,
    postgresPid: options.postgresPid ?? found,
  };
}

/**
 * Runs the bench. Starts the server if no URL is given, and stops it again whatever happens.
 * @param say is told what goes on, a line at a time.
 * @throws Error with a sentence when the run couldn't be made (set-up refused, a loader died).
 */
export async function runLoad(options: LoadOptions, say: Say): Promise<MergedRun> {
  checkDescriptors(options);
  const startedAt = new Date().toISOString();
  const server =
    options.urls.length === 0
      ? await startServer(options.databaseUrl, options.serverEntry, {
          PROCESSES: String(options.serverProcesses),
        })
      : undefined;
  const interrupted = () => {
    void server?.stop().finally(() => process.exit(130));
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    const subject = await findSubject(options, server);
    say(
      `server ${subject.origins.join(' ')} pid ${subject.serverPid ?? 'n/a'}, postgres pid ${subject.postgresPid ?? 'n/a'}`,
    );
    const machine = await readMachineFacts(subject.postgresPid);
    const measured = await measure(options, subject, say);
    const exit = await server?.stop();
    const run = mergeReports(measured.reports, {
      startedAt,
      // The URL holds a password, and results are passed on.
      options: { ...options, databaseUrl: options.databaseUrl === undefined ? undefined : '(given)' },
      machine,
      usage: measured.usage,
      serverMemory: measured.memory,
      server: server === undefined || exit === undefined ? undefined : { exit, warnings: server.warnings() },
    });
    if (run.result.verdict === 'failed')
      for (const logged of server?.tail() ?? []) say(`  server: ${logged}`);
    return run;
  } catch (error) {
    for (const logged of server?.tail() ?? []) say(`  server: ${logged}`);
    await server?.stop();
    throw error;
  } finally {
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
}
