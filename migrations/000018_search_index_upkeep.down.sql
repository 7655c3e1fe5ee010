alter index messages_search_idx set (gin_pending_list_limit = 512);
