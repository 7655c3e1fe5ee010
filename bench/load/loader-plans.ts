import type { LoaderPlan } from './messages.js';
import type { LoadOptions } from './options.js';
import type { LoadPlan } from './plan.js';
import { readDescriptorLimit } from './proc-files.js';
import type { Scene } from './setup.js';

/** Descriptors that a loader needs beside its sockets, and a server beside its. */
const SPARE_DESCRIPTORS = 64;

/** The kernel deals connections out to processes by hash: one gets some more than its share. */
const UNEVEN = 1.1;

/** @throws Error with what to do when the sockets can't all be opened. */
export function checkDescriptors(options: LoadOptions): void {
  const limit = readDescriptorLimit();
  if (limit === undefined) return;
  const needed = Math.ceil(options.connections / options.processes) + SPARE_DESCRIPTORS;
  if (needed > limit) {
    throw new Error(
      `${needed} descriptors a loader are more than the limit of ${limit}: use more --processes`,
    );
  }
  const uneven = options.serverProcesses === 1 ? 1 : UNEVEN;
  const perServer = Math.ceil((options.connections / options.serverProcesses) * uneven);
  if (options.urls.length === 0 && perServer + SPARE_DESCRIPTORS > limit) {
    throw new Error(
      `a server process may hold ${limit} descriptors: use more --server-processes, or start servers and give their --url A,B`,
    );
  }
}

/** What each loader process must know. @param socketUrls of the servers, in the order of the plan's targets. */
export function loaderPlans(
  options: LoadOptions,
  plan: LoadPlan,
  scene: Scene,
  socketUrls: readonly string[],
): LoaderPlan[] {
  const targets = socketUrls.map((url) => {
    const { hostname, port, pathname, search } = new URL(url);
    return { host: hostname, port: Number(port || 80), path: pathname + search };
  });
  const salt = Math.floor(Math.random() * 0x1000);
  const loaderOf = new Map(plan.sockets.map((socket) => [socket.index, socket.loader]));
  return Array.from({ length: options.processes }, (_, loader) => {
    const senders = plan.senders.filter((index) => loaderOf.get(index) === loader);
    return {
      loader,
      targets,
      dialect: options.dialect,
      rooms: scene.rooms,
      sockets: plan.sockets
        .filter((socket) => socket.loader === loader)
        .map(({ user, ...socket }) => ({ ...socket, token: scene.accounts.get(user)?.token ?? '' })),
      senders,
      share: {
        rate: options.rate,
        senders: senders.length,
        allSenders: options.senders,
        loader,
        seconds: options.warmupSeconds + options.seconds,
      },
      warmupSeconds: options.warmupSeconds,
      measuredSeconds: options.seconds,
      drainSeconds: options.drainSeconds,
      connectRate: options.connectRate / options.processes,
      cutsPerSecond: options.cutsPerSecond / options.processes,
      storm: options.storm,
      payloadBytes: options.payloadBytes,
      salt,
      seed: options.seed + loader,
    };
  });
}
