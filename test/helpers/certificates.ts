import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** A certificate and its key: paths of PEM files. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Who signs certificates; trusted by whoever is given `cert`. */
export interface Authority {
  readonly cert: string;
  /** @param names subjectAltName, as `IP:127.0.0.1` or `DNS:db.test` */
  readonly issue: (name: string, names: string) => CertificateFiles;
}

const NEW_KEY = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** A certificate for two days. @param args further ones of `openssl req` */
export function createCertificate(
  directory: string,
  name: string,
  args: readonly string[] = [],
): CertificateFiles {
  const files = { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  const about = ['-days', '2', '-subj', `/CN=${name}`, '-keyout', files.key, '-out', files.cert];
  execFileSync('openssl', [...NEW_KEY, ...about, ...args], { stdio: 'ignore' });
  return files;
}

/** An authority of a test's own. @param directory where its files go */
export function createAuthority(directory: string, name: string): Authority {
  const own = createCertificate(directory, name);
  return {
    cert: own.cert,
    issue: (leaf, names) =>
      createCertificate(directory, leaf, [
        ...['-CA', own.cert, '-CAkey', own.key],
        ...['-addext', `subjectAltName=${names}`, '-addext', 'basicConstraints=critical,CA:FALSE'],
      ]),
  };
}
