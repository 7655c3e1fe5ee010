drop table address_blocks;
drop table address_blocks_version;
drop function note_address_blocks_change();
