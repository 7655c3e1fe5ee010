drop table operator_log;
alter table users drop column suspended_until;
