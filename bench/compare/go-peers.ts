/** The servers of other projects, which Go builds. */
import { findGoProgram, foundGoProgram, type GoProgram } from '../load/go-binary.js';

const CENTRIFUGO: GoProgram = {
  project: 'centrifugo',
  name: 'centrifugo',
  variable: 'CENTRIFUGO',
  version: 'v6.9.1',
  package: 'github.com/centrifugal/centrifugo/v6',
  help: 'https://centrifugal.dev/docs/getting-started/installation',
};

const TINODE_SERVER: GoProgram = {
  project: 'tinode',
  name: 'server',
  aliases: ['tinode'],
  variable: 'TINODE',
  version: 'v0.25.3',
  package: 'github.com/tinode/chat/server',
  flags: ['-tags', 'postgres'],
  help: 'https://github.com/tinode/chat/blob/master/INSTALL.md',
};

/** Makes its tables. */
const TINODE_DB: GoProgram = {
  ...TINODE_SERVER,
  name: 'tinode-db',
  aliases: ['tinode-db'],
  variable: 'TINODE_DB',
  package: 'github.com/tinode/chat/tinode-db',
};

export type PeerName = 'centrifugo' | 'tinode';

/** What each peer is made of. */
const PROGRAMS: Readonly<Record<PeerName, readonly GoProgram[]>> = {
  centrifugo: [CENTRIFUGO],
  tinode: [TINODE_SERVER, TINODE_DB],
};

/** Builds what a peer is made of, unless it is there. @throws Error with what to do when it isn't and can't be built. */
export function buildPeer(peer: PeerName, say: (text: string) => void): void {
  for (const program of PROGRAMS[peer]) findGoProgram(program, say);
}

/** The paths of what a peer is made of, in the order of PROGRAMS. @throws Error when one isn't there: nothing is built. */
export function peerPrograms(peer: PeerName): string[] {
  return PROGRAMS[peer].map((program) => {
    const found = foundGoProgram(program);
    if (found !== undefined) return found;
    throw new Error(
      `no ${program.name} there: bench:compare -- --systems ${peer} builds it, or ${program.variable} names one`,
    );
  });
}
