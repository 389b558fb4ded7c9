-- Organisations, members, the audit log, and what every policy asks of the caller's token.
-- Nothing here needs more than PostgreSQL 15. Times are TIMESTAMPTZ; money is whole won.

create schema shared;
create schema estimator;

-- The login of API and worker owns nothing: it becomes `authenticated` or `service_role` for one
-- transaction at a time. It gets its password, or peer authentication, from the operator.
do $$
begin
  if not exists (select from pg_roles where rolname = 'kis_api') then
    create role kis_api login noinherit;
  end if;
  grant authenticated, service_role to kis_api;
end
$$;

grant usage on schema shared, estimator to authenticated, service_role;
grant usage on schema shared to kis_api;

-- ------------------------------------------------------------------ the caller

create function shared.claims() returns jsonb
  language sql stable set search_path = ''
  as $$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $$;

create function shared.caller_org() returns uuid
  language sql stable set search_path = ''
  as $$ select (shared.claims() -> 'app_metadata' ->> 'org_id')::uuid $$;

create function shared.caller_id() returns uuid
  language sql stable set search_path = ''
  as $$ select (shared.claims() ->> 'sub')::uuid $$;

create function shared.role_rank(name text) returns integer
  language sql immutable set search_path = ''
  as $$ select case name when 'viewer' then 1 when 'estimator' then 2 when 'admin' then 3 else 0 end $$;

-- Whether the caller's role is at least this one; no role is less than every role.
create function shared.caller_is(lowest text) returns boolean
  language sql stable set search_path = ''
  as $$
    select shared.role_rank(shared.claims() -> 'app_metadata' ->> 'role') >= shared.role_rank(lowest)
  $$;

create function shared.touch() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  new.updated_at := now();
  return new;
end
$$;

-- ------------------------------------------------------------------ organisations and members

create table shared.organisations (
  id uuid primary key default gen_random_uuid(),
  name text not null check (char_length(name) between 1 and 200),
  quarantined boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on column shared.organisations.quarantined is
  'Smoke tests of a deployment run in such an organisation; reports leave it out.';
create trigger touched before update on shared.organisations
  for each row execute function shared.touch();

create table shared.members (
  org_id uuid not null references shared.organisations,
  user_id uuid not null,
  role text not null check (role in ('viewer', 'estimator', 'admin')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (org_id, user_id)
);
create index members_user on shared.members (user_id);
create trigger touched before update on shared.members
  for each row execute function shared.touch();

-- Makes the caller's organisation and membership known the first time a token of theirs is used.
-- The claims are the authority: they are signed, and only an administrator can change them.
create function shared.ensure_caller() returns void
  language plpgsql security definer set search_path = ''
  as $$
declare
  org uuid := shared.caller_org();
  person uuid := shared.caller_id();
  held text := shared.claims() -> 'app_metadata' ->> 'role';
begin
  if org is null or person is null or shared.role_rank(held) = 0 then
    raise insufficient_privilege using message = 'the token names no organisation, user or role';
  end if;
  if not exists (select from shared.members m
                 where m.org_id = org and m.user_id = person and m.role = held) then
    insert into shared.organisations (id, name) values (org, org::text) on conflict do nothing;
    insert into shared.members (org_id, user_id, role) values (org, person, held)
      on conflict (org_id, user_id) do update set role = excluded.role;
  end if;
end
$$;

-- ------------------------------------------------------------------ audit log

create table shared.audit_logs (
  org_id uuid not null references shared.organisations,
  seq bigint not null check (seq >= 1),
  at timestamptz not null,
  actor uuid,
  action text not null check (action ~ '^[a-z]+(\.[a-z_]+)+$'),
  entity_id text not null,
  details jsonb not null,
  trace_id text,
  previous bytea not null check (octet_length(previous) = 32),
  hash bytea not null check (octet_length(hash) = 32),
  primary key (org_id, seq)
);
comment on table shared.audit_logs is
  'Append-only. Each row carries the SHA-256 over its own text and the hash of the row before it.';

-- One text per row: what was said, in a form that no session setting changes.
create function shared.audit_hash(entry shared.audit_logs) returns bytea
  language sql immutable set search_path = ''
  as $$
    select sha256(entry.previous || convert_to(jsonb_build_array(
      entry.org_id, entry.seq, (extract(epoch from entry.at) * 1000000)::bigint, entry.actor,
      entry.action, entry.entity_id, entry.details, entry.trace_id)::text, 'UTF8'))
  $$;

-- Appends to the chain of an organisation; the lock ends with the transaction.
create function shared.append_audit(
  org uuid, by_whom uuid, what text, entity text, more jsonb, trace text
) returns void
  language plpgsql security definer set search_path = ''
  as $$
declare
  entry shared.audit_logs;
  last_entry shared.audit_logs;
begin
  perform pg_advisory_xact_lock(hashtextextended('audit ' || org::text, 0));
  select * into last_entry from shared.audit_logs a
    where a.org_id = org order by a.seq desc limit 1;
  entry.org_id := org;
  entry.seq := coalesce(last_entry.seq, 0) + 1;
  entry.at := clock_timestamp();
  entry.actor := by_whom;
  entry.action := what;
  entry.entity_id := entity;
  entry.details := coalesce(more, '{}');
  entry.trace_id := trace;
  entry.previous := coalesce(last_entry.hash, decode(repeat('00', 32), 'hex'));
  entry.hash := shared.audit_hash(entry);
  insert into shared.audit_logs values (entry.*);
end
$$;

-- What a caller may log: in their own organisation, under their own name.
create function shared.audit(what text, entity text, more jsonb, trace text) returns void
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not shared.caller_is('estimator') or what in ('estimate.completed', 'estimate.failed') then
    raise insufficient_privilege using message = format('not yours to log: %s', what);
  end if;
  perform shared.append_audit(shared.caller_org(), shared.caller_id(), what, entity, more, trace);
end
$$;

create function shared.refuse_change() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  raise exception using
    errcode = 'KS001', message = format('%s is append-only', tg_table_name);
end
$$;
create trigger append_only before update or delete on shared.audit_logs
  for each row execute function shared.refuse_change();
create trigger no_truncate before truncate on shared.audit_logs
  for each statement execute function shared.refuse_change();

-- Follows the chain of an organisation: how many rows, and the first that does not fit (or null).
create function shared.verify_audit(org uuid, out checked bigint, out broken_at bigint)
  language sql stable set search_path = ''
  as $$
    with chain as (
      select a.seq,
             a.hash = shared.audit_hash(a)
               and a.previous = coalesce(lag(a.hash) over upward, decode(repeat('00', 32), 'hex'))
               and a.seq = coalesce(lag(a.seq) over upward, 0) + 1 as sound
      from shared.audit_logs a
      where a.org_id = org
      window upward as (order by a.seq)
    )
    select count(*), min(seq) filter (where not sound) from chain
  $$;

-- ------------------------------------------------------------------ who may do what

revoke all on all tables in schema shared from public, anon, authenticated;
revoke all on all functions in schema shared from public, anon;
grant select on shared.organisations, shared.members, shared.audit_logs to authenticated;
grant insert, update, delete on shared.members to authenticated;
grant select, insert, update, delete on shared.organisations, shared.members to service_role;
grant select on shared.audit_logs to service_role;
grant execute on function
  shared.claims(), shared.caller_org(), shared.caller_id(), shared.role_rank(text),
  shared.caller_is(text), shared.touch(), shared.refuse_change(), shared.audit_hash(shared.audit_logs),
  shared.verify_audit(uuid)
  to authenticated, service_role;
grant execute on function shared.ensure_caller(), shared.audit(text, text, jsonb, text)
  to authenticated;

-- A caller appends through shared.audit alone, which fills in who and where from the token.
revoke execute on function shared.append_audit(uuid, uuid, text, text, jsonb, text)
  from public, authenticated;
grant execute on function shared.append_audit(uuid, uuid, text, text, jsonb, text) to service_role;

alter table shared.organisations enable row level security;
alter table shared.members enable row level security;
alter table shared.audit_logs enable row level security;

create policy own on shared.organisations for select to authenticated
  using (id = (select shared.caller_org()));
create policy read_own on shared.members for select to authenticated
  using (org_id = (select shared.caller_org()));
create policy administer on shared.members for all to authenticated
  using (org_id = (select shared.caller_org()) and (select shared.caller_is('admin')))
  with check (org_id = (select shared.caller_org()) and (select shared.caller_is('admin')));
create policy read_own on shared.audit_logs for select to authenticated
  using (org_id = (select shared.caller_org()) and (select shared.caller_is('admin')));
