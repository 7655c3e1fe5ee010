drop table retention_sweep;
drop table retention_progress;
drop table retention_rules;
