import { createHash } from 'node:crypto';
import { CLOSE_CODES, ERRORS } from '../protocol/errors.js';
import { CLIENT_FRAMES, type ClientFrameType } from '../protocol/frames.js';
import { CLIENT_FRAME_NOTES, SERVER_FRAMES, type ServerFrameSpec } from '../protocol/server-frames.js';
import { type OpenApi, type Operation, responseOf } from './openapi.js';
import { components, type JsonSchema, readable, referring } from './schemas.js';

const STYLE = `
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent)}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{overflow-x:auto;white-space:pre-wrap}
section{border-top:1px solid var(--line);padding:.5rem 0}h3{margin:.5rem 0}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
.method{font-weight:700;text-transform:uppercase}nav a{margin-right:1rem}
`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** The page asks the network for nothing. */
export const PAGE_HEADERS = [
  [
    'content-security-policy',
    `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  ],
  ['referrer-policy', 'no-referrer'],
] as const;

/** One page of HTML, without scripts, that describes REST, the WebSocket, the shapes and the errors. */
export function docsPage(openapi: OpenApi): string {
  const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => operationSection(openapi, method, path, operation)),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parley API</title><style>${STYLE}</style></head><body>
<h1>Parley API</h1>
<p>As documents: <a href="/api/v1/openapi.json">OpenAPI 3.1</a>, <a href="/api/v1/asyncapi.json">AsyncAPI 3</a>.</p>
<nav><a href="#rest">REST</a><a href="#client">Frames to the server</a><a href="#server">Frames from the server</a><a href="#shapes">Shapes</a><a href="#errors">Errors</a></nav>
<main>
<h2 id="rest">REST, under <code>/api/v1</code></h2>${operations.join('')}
<h2 id="client">Frames to the server</h2>
<p>One WebSocket at <code>/api/v1/ws</code>, subprotocol <code>parley.json</code> or <code>parley.msgpack</code>. Close codes: ${closeCodes()}.</p>${clientFrames()}
<h2 id="server">Frames from the server</h2>${serverFrames()}
<h2 id="shapes">Shapes</h2>${shapes()}
<h2 id="errors">Errors</h2>${errors()}
</main></body></html>
`;
}

function operationSection(openapi: OpenApi, method: string, path: string, operation: Operation): string {
  const { operationId, summary, security, parameters, requestBody, responses } = operation;
  const queries = parameters
    .filter((parameter) => parameter.in === 'query')
    .map(({ name, schema }) => `<code>${escapeHtml(name)}: ${escapeHtml(readable(schema))}</code>`);
  const codes = Object.entries(responses).flatMap(([status, response]) => {
    const schema = schemaIn(responseOf(openapi, response));
    const enumerated = (schema?.properties as { code?: { enum?: string[] } } | undefined)?.code?.enum;
    return enumerated?.map((code) => `<code>${code}</code> ${status}`) ?? [];
  });
  const success = Object.entries(responses).filter(([status]) => Number(status) < 300);
  const data = (schemaIn(success[0]?.[1])?.properties as { data?: JsonSchema } | undefined)?.data;
  const body = requestBody === undefined ? undefined : schemaIn(requestBody);
  return `<section id="${operationId}"><h3><span class="method">${method}</span> <code>${escapeHtml(path)}</code></h3>
<p>${escapeHtml(summary)}.${security.length === 0 ? ' No token needed.' : ''}</p>
${queries.length === 0 ? '' : `<p>Query: ${queries.join(', ')}</p>`}
${body === undefined ? '' : `<p>Body</p><pre>${escapeHtml(readable(body))}</pre>`}
<p>Answers ${success.map(([status]) => status).join(', ')}${data === undefined ? '' : ' with'}</p>
${data === undefined ? '' : `<pre>${escapeHtml(readable(data))}</pre>`}
${codes.length === 0 ? '' : `<p>Errors: ${codes.join(', ')}</p>`}</section>`;
}

function schemaIn(holder: JsonSchema | undefined): JsonSchema | undefined {
  const content = holder?.content as { 'application/json'?: { schema: JsonSchema } } | undefined;
  return content?.['application/json']?.schema;
}

function clientFrames(): string {
  return (Object.keys(CLIENT_FRAMES) as ClientFrameType[])
    .map((type) => {
      const { payload, room } = CLIENT_FRAMES[type];
      const { summary, answer, errors } = CLIENT_FRAME_NOTES[type];
      return `<section id="client-${type}"><h3><code>${type}</code></h3><p>${escapeHtml(summary)}.</p>
<pre>${escapeHtml(readable(referring(payload)))}</pre>
<p>${room === 'none' ? '' : `<code>room_id</code>: ${room}. `}Answer: ${answer === null ? 'none' : `<a href="#server-${answer}"><code>${answer}</code></a>`}${errors.length === 0 ? '' : `. Errors: ${errors.map((code) => `<code>${code}</code>`).join(', ')}`}</p></section>`;
    })
    .join('');
}

function serverFrames(): string {
  const meaning = { answer: 'Answer', log: 'Change in the log, with a rev', event: 'Event' };
  return (Object.entries(SERVER_FRAMES) as [string, ServerFrameSpec][])
    .map(
      ([type, { summary, payload, kind }]) =>
        `<section id="server-${type}"><h3><code>${type}</code></h3><p>${meaning[kind]}. ${escapeHtml(summary)}.</p><pre>${escapeHtml(readable(referring(payload)))}</pre></section>`,
    )
    .join('');
}

function shapes(): string {
  return Object.entries(components())
    .map(
      ([name, schema]) =>
        `<section id="shape-${name}"><h3><code>${name}</code></h3><pre>${escapeHtml(readable(schema).replaceAll('; ', ';\n  '))}</pre></section>`,
    )
    .join('');
}

function errors(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, retry, sentence }]) =>
      `<tr><td><code>${code}</code></td><td>${status}</td><td>${retry ? 'yes' : 'no'}</td><td>${escapeHtml(sentence)}</td></tr>`,
  );
  return `<table><thead><tr><th>code</th><th>status</th><th>retry</th><th>meaning</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function closeCodes(): string {
  return Object.entries(CLOSE_CODES)
    .map(([reason, code]) => `${code} <code>${reason}</code>`)
    .join(', ');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
