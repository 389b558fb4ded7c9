-- Production: which installation a database is, organisations that smoke tests use, and objects that
-- no browser's key reaches. Everything is added: the release before runs on it.

-- ------------------------------------------------------------------ the installation

-- One row, made here: snapshots tell by it whose they are. A deployment fills in the rest, so that
-- the database of another environment is recognised.
create table shared.installation (
  id uuid not null default gen_random_uuid(),
  environment text check (environment in ('development', 'staging', 'production')),
  bucket text check (char_length(bucket) between 1 and 100),
  project_ref text check (char_length(project_ref) between 1 and 100),
  created_at timestamptz not null default now(),
  only_row boolean primary key default true check (only_row)
);
comment on table shared.installation is
  'The one row says which installation this database is; a deployment fills in its names.';
insert into shared.installation default values;

alter table shared.installation enable row level security;
revoke all on shared.installation from public, anon, authenticated;
grant select, update on shared.installation to service_role;

-- ------------------------------------------------------------------ organisations of smoke tests

-- As before, and an organisation whose first token says so is quarantined from the start.
create or replace function shared.ensure_caller() returns void
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
    insert into shared.organisations (id, name, quarantined)
      values (org, org::text,
              coalesce(shared.claims() -> 'app_metadata' -> 'quarantined' = 'true', false))
      on conflict do nothing;
    insert into shared.members (org_id, user_id, role) values (org, person, held)
      on conflict (org_id, user_id) do update set role = excluded.role;
  end if;
end
$$;

-- ------------------------------------------------------------------ objects in storage

-- Files are fetched by signed links alone. Whatever policies are added later, the keys of browsers
-- touch no object. The table is there on a hosted project, and its owner may be another role.
do $$
begin
  if to_regclass('storage.objects') is not null then
    drop policy if exists kis_signed_links_alone on storage.objects;
    create policy kis_signed_links_alone on storage.objects as restrictive for all
      to anon, authenticated using (false) with check (false);
  end if;
exception when insufficient_privilege then
  raise notice 'storage.objects belongs to another role: no policy was added there';
end
$$;
