-- The index's pending list is emptied beside the writing (store/search-index.ts): a writer that fills it to its limit
-- empties it himself before he commits, and all whose messages are in that commit wait for it.
alter index messages_search_idx set (gin_pending_list_limit = 4096);
