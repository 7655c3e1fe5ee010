drop index rooms_created_by_idx;
