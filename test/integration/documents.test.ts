import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { apiDocuments } from '../../src/docs/documents.js';
import { ROUTES, type Route } from '../../src/http/routes.js';
import { CLIENT_FRAMES } from '../../src/protocol/frames.js';
import { SERVER_FRAMES } from '../../src/protocol/server-frames.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

let server: Server;

beforeAll(async () => {
  server = await startServerWithDatabase();
});

const served = (path: string) => fetch(`${server.url}${path}`);
const committed = (file: string) => readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8');

describe('the API documents', () => {
  test.each(['openapi', 'asyncapi'] as const)('%s.json is served as it is committed', async (name) => {
    const answer = await served(`/api/v1/${name}.json`);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    const text = await answer.text();
    expect(text).toBe(apiDocuments()[name]);
    expect(text).toBe(committed(`${name}.json`));
  });

  test('describe every route and every frame, each with a sentence', () => {
    const openapi = JSON.parse(apiDocuments().openapi) as {
      paths: Record<string, Record<string, { summary: string; responses: Record<string, unknown> }>>;
    };
    for (const route of Object.values(ROUTES as Record<string, Route>)) {
      const described = openapi.paths[route.path.replaceAll(/:(\w+)/g, '{$1}')]?.[route.method];
      expect(described?.summary).toMatch(/^\S.{5,}$/);
      expect(Object.keys(described?.responses ?? {})).toEqual(
        expect.arrayContaining([...route.statuses.map(String), '429', '503']),
      );
    }
    const asyncapi = JSON.parse(apiDocuments().asyncapi) as {
      components: { messages: Record<string, { summary: string }> };
    };
    const names = [
      ...Object.keys(CLIENT_FRAMES).map((type) => `client.${type}`),
      ...Object.keys(SERVER_FRAMES).map((type) => `server.${type}`),
    ];
    expect(Object.keys(asyncapi.components.messages).sort()).toEqual(names.sort());
    for (const name of names) expect(asyncapi.components.messages[name]?.summary).toMatch(/^\S.{5,}$/);
  });

  test('refer only to what they contain', () => {
    const { openapi, asyncapi } = apiDocuments();
    for (const text of [openapi, asyncapi]) {
      const document: unknown = JSON.parse(text);
      for (const [, pointer = ''] of text.matchAll(/"\$ref": "#([^"]+)"/g)) {
        const target = pointer
          .split('/')
          .slice(1)
          .reduce((at: unknown, key) => (at as Record<string, unknown> | undefined)?.[key], document);
        expect(target, pointer).toBeDefined();
      }
    }
  });

  test('ask of an uploaded file that it is bytes, and no type of JSON', () => {
    const { paths } = JSON.parse(apiDocuments().openapi) as {
      paths: Record<string, { post?: { requestBody?: { content: Record<string, unknown> } } }>;
    };
    const form = paths['/rooms/{roomId}/attachments']?.post?.requestBody?.content['multipart/form-data'];
    expect(form).toMatchObject({
      schema: { required: ['file'], properties: { file: { contentMediaType: 'application/octet-stream' } } },
    });
    expect(JSON.stringify(form)).not.toContain('"string"');
  });

  test('can be read at /docs, a page without scripts that loads nothing', async () => {
    const answer = await served('/docs');
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
    const html = await answer.text();
    expect(html).not.toMatch(/<script|<link|<img|src=|@import|https?:/);
    for (const name of Object.keys(ROUTES)) expect(html).toContain(`id="${name}"`);
    for (const type of Object.keys(SERVER_FRAMES)) expect(html).toContain(`id="server-${type}"`);
  });
});
