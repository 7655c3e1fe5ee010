import { Refusal } from '../protocol/errors.js';
import type { HttpHandler } from './types.js';

const unbuilt: HttpHandler = () => Promise.reject(new Refusal('not_found'));

/** Routes whose handlers are still to come. */
export const UNBUILT = {
  patch_me: unbuilt,
  delete_me: unbuilt,
  search_users: unbuilt,
  discover_rooms: unbuilt,
  search_messages: unbuilt,
} as const;
