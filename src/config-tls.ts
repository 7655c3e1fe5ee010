import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** The server's own certificate and its key; absolute paths of PEM files. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Both files or none; what is wrong with them is added to the mistakes. */
export function readTls(
  cert: string | undefined,
  key: string | undefined,
  mistakes: string[],
): TlsFiles | null {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) {
    mistakes.push('TLS_CERT_FILE, TLS_KEY_FILE: give both or neither');
    return null;
  }
  const files = { certFile: resolve(cert), keyFile: resolve(key) };
  try {
    checkTlsFiles(files);
  } catch (error) {
    mistakes.push(`TLS_CERT_FILE, TLS_KEY_FILE: ${error instanceof Error ? error.message : String(error)}`);
  }
  return files;
}

/** @throws Error where a file can't be read, or the key isn't the certificate's */
export function checkTlsFiles({ certFile, keyFile }: TlsFiles): void {
  const certificate = new X509Certificate(readFileSync(certFile));
  if (certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile)))) return;
  throw new Error('the key is not the certificate’s');
}
