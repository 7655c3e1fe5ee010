import { asyncApi } from './asyncapi.js';
import { openApi } from './openapi.js';
import { docsPage, PAGE_HEADERS } from './page.js';

/** The version of the protocol: the major one stands in the path (`/api/v1`). */
const API_VERSION = '1.0.0';

export interface ApiDocuments {
  /** OpenAPI 3.1 as JSON text. */
  readonly openapi: string;
  /** AsyncAPI 3 as JSON text. */
  readonly asyncapi: string;
  /** Both as one page of HTML. */
  readonly page: string;
  readonly pageHeaders: typeof PAGE_HEADERS;
}

/** Makes the documents from the tables that the server validates with. */
export function apiDocuments(): ApiDocuments {
  const openapi = openApi(API_VERSION);
  return {
    openapi: `${JSON.stringify(openapi, null, 2)}\n`,
    asyncapi: `${JSON.stringify(asyncApi(API_VERSION), null, 2)}\n`,
    page: docsPage(openapi),
    pageHeaders: PAGE_HEADERS,
  };
}
