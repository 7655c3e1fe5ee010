drop table audit_log;
drop table reports;
drop table slow_mode_slots;
drop table kept_mutes;
drop table bans;
