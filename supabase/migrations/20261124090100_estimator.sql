-- Price books, quotes with their revisions, what a run found, its documents and its events.

-- ------------------------------------------------------------------ price books

-- A row with org_id null is a price book that came with the program.
create table estimator.catalog_versions (
  id uuid primary key default gen_random_uuid(),
  org_id uuid references shared.organisations,
  number integer not null check (number >= 1),
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  name text not null check (char_length(name) between 1 and 200),
  version text not null check (char_length(version) between 1 and 100),
  sample boolean not null,
  files jsonb not null check (jsonb_typeof(files) = 'object'),
  items integer not null check (items >= 0),
  created_by uuid,
  created_at timestamptz not null default now(),
  unique nulls not distinct (org_id, number)
);
comment on column estimator.catalog_versions.files is
  'The text of every file of the price book by name, as it is sealed into a pack.';
create unique index catalog_versions_program on estimator.catalog_versions (sha256)
  where org_id is null;

create table estimator.catalog_items (
  version_id uuid not null references estimator.catalog_versions on delete cascade,
  org_id uuid,
  kind text not null check (kind in ('breaker', 'enclosure', 'accessory')),
  sku text not null check (char_length(sku) between 1 and 200),
  name text not null,
  unit_price bigint not null check (unit_price >= 0),
  search text not null,
  fields jsonb not null check (jsonb_typeof(fields) = 'object'),
  primary key (version_id, kind, sku)
);
comment on column estimator.catalog_items.search is 'Lower-case text that a search looks in.';

create function estimator.is_own_version(wanted uuid, owner uuid) returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select exists (select from estimator.catalog_versions v
                   where v.id = wanted and v.org_id is not distinct from owner)
  $$;

-- ------------------------------------------------------------------ customers and quotes

create table estimator.customers (
  id uuid primary key default gen_random_uuid(),
  org_id uuid not null references shared.organisations,
  name text not null check (char_length(name) <= 500),
  contact text,
  company text,
  email text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (org_id, name),
  unique (id, org_id)
);
create trigger touched before update on estimator.customers
  for each row execute function shared.touch();

create table estimator.number_sequences (
  org_id uuid not null references shared.organisations,
  day date not null,
  last integer not null check (last >= 1),
  primary key (org_id, day)
);

create table estimator.quotes (
  id uuid primary key,
  org_id uuid not null references shared.organisations,
  number text not null check (number ~ '^KIS-[0-9]{8}-[0-9]{4,}$'),
  revision integer not null default 1 check (revision >= 1),
  revised_from uuid,
  standing text not null default 'current'
    check (standing in ('current', 'proposed', 'superseded', 'withdrawn')),
  day date not null,
  customer_id uuid not null,
  customer json not null check (json_typeof(customer) = 'object'),
  project text,
  locale text not null check (locale in ('ko-KR', 'en-US')),
  catalog_version uuid not null references estimator.catalog_versions,
  status text not null default 'pending'
    check (status in ('pending', 'processing', 'completed', 'failed')),
  attempt integer not null default 0 check (attempt >= 0),
  last_event integer not null default 0 check (last_event >= 0),
  supply bigint,
  total bigint,
  gates_passed boolean,
  design_sha text check (design_sha ~ '^[0-9a-f]{64}$'),
  evidence_sha text check (evidence_sha ~ '^[0-9a-f]{64}$'),
  pack_sha text check (pack_sha ~ '^[0-9a-f]{64}$'),
  response json,
  error jsonb,
  created_by uuid not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  unique (org_id, number, revision),
  unique (id, org_id),
  foreign key (customer_id, org_id) references estimator.customers (id, org_id),
  foreign key (revised_from, org_id) references estimator.quotes (id, org_id),
  check ((revision = 1) = (revised_from is null)),
  check (revision > 1 or standing in ('current', 'superseded')),
  check ((status = 'completed') = (response is not null)),
  check (status <> 'completed' or (total is not null and supply is not null
    and gates_passed is not null and design_sha is not null and evidence_sha is not null
    and pack_sha is not null)),
  check ((status = 'failed') = (error is not null)),
  check ((status in ('completed', 'failed')) = (finished_at is not null)),
  check (standing <> 'superseded' or status in ('completed', 'failed')),
  check (standing <> 'withdrawn' or status = 'failed')
);
comment on column estimator.quotes.standing is
  'A revision is proposed until its run completes; then it is current and its predecessor superseded. A revision whose run failed is withdrawn.';
comment on column estimator.quotes.response is
  'The EstimateResponse of the completed run, as sealed in its pack.';
comment on column estimator.quotes.attempt is
  'Which run of the job may write: a worker that was given up for dead finds another number here.';
create unique index quotes_one_current on estimator.quotes (org_id, number)
  where standing = 'current';
create unique index quotes_one_proposed on estimator.quotes (org_id, number)
  where standing = 'proposed';
create index quotes_by_creation on estimator.quotes (org_id, created_at desc, id);
create index quotes_by_update on estimator.quotes (org_id, updated_at desc, id);
create index quotes_by_total on estimator.quotes (org_id, total, id);
create index quotes_by_status on estimator.quotes (org_id, status, created_at desc);
create index quotes_customer on estimator.quotes (customer_id);
create index quotes_revised_from on estimator.quotes (revised_from) where revised_from is not null;
create index quotes_catalog on estimator.quotes (catalog_version);
create index quotes_unfinished on estimator.quotes (created_at)
  where status in ('pending', 'processing');
create trigger touched before update on estimator.quotes
  for each row execute function shared.touch();

create table estimator.quote_inputs (
  quote_id uuid primary key,
  org_id uuid not null,
  filename text not null check (char_length(filename) between 1 and 500),
  content bytea not null check (octet_length(content) between 1 and 20971520),
  options jsonb not null check (jsonb_typeof(options) = 'object'),
  foreign key (quote_id, org_id) references estimator.quotes (id, org_id) on delete cascade
);
comment on table estimator.quote_inputs is 'What the caller sent, byte for byte.';

-- ------------------------------------------------------------------ results

create table estimator.panels (
  quote_id uuid not null,
  org_id uuid not null,
  position integer not null check (position >= 1),
  name text not null,
  quantity integer not null check (quantity >= 1),
  enclosure_sku text not null,
  custom boolean not null,
  width_mm integer not null check (width_mm > 0),
  height_mm integer not null check (height_mm > 0),
  depth_mm integer not null check (depth_mm > 0),
  ip_rating text not null,
  fit_score numeric not null check (fit_score between 0 and 1),
  heat_w numeric check (heat_w >= 0),
  imbalance_pct numeric check (imbalance_pct >= 0),
  lines_sum bigint not null check (lines_sum >= 0),
  primary key (quote_id, position),
  foreign key (quote_id, org_id) references estimator.quotes (id, org_id) on delete cascade
);

create table estimator.breakers (
  quote_id uuid not null,
  org_id uuid not null,
  panel integer not null,
  position integer not null check (position >= 1),
  circuit text,
  role text not null check (role in ('main', 'branch')),
  model text not null,
  phase text check (phase in ('R', 'S', 'T', 'RS', 'ST', 'TR', 'RST')),
  rated_current_a numeric check (rated_current_a > 0),
  load_a numeric check (load_a >= 0),
  loss_w numeric check (loss_w >= 0),
  x_mm numeric not null,
  y_mm numeric not null,
  width_mm numeric not null,
  height_mm numeric not null,
  primary key (quote_id, panel, position),
  foreign key (quote_id, org_id) references estimator.quotes (id, org_id) on delete cascade,
  foreign key (quote_id, panel) references estimator.panels (quote_id, position) on delete cascade
);

create table estimator.quote_items (
  quote_id uuid not null,
  org_id uuid not null,
  panel integer not null,
  position integer not null check (position >= 1),
  group_name text not null,
  sku text not null,
  name text not null,
  spec text not null,
  unit text not null,
  quantity numeric not null check (quantity >= 0),
  unit_price bigint not null check (unit_price >= 0),
  amount bigint not null check (amount >= 0),
  rule text,
  primary key (quote_id, panel, position),
  foreign key (quote_id, org_id) references estimator.quotes (id, org_id) on delete cascade,
  foreign key (quote_id, panel) references estimator.panels (quote_id, position) on delete cascade
);

create table estimator.evidence_blobs (
  org_id uuid not null references shared.organisations,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  size_bytes bigint not null check (size_bytes >= 0),
  media_type text not null,
  created_at timestamptz not null default now(),
  last_put_at timestamptz not null default now(),
  swept_at timestamptz,
  primary key (org_id, sha256)
);
comment on column estimator.evidence_blobs.last_put_at is
  'Written before the object is put, so that what is being put is never swept.';
comment on column estimator.evidence_blobs.swept_at is
  'When the object was deleted after the retention time; its hash is kept.';
create index evidence_blobs_age on estimator.evidence_blobs (last_put_at) where swept_at is null;

create table estimator.documents (
  id uuid primary key default gen_random_uuid(),
  quote_id uuid not null,
  org_id uuid not null,
  kind text not null check (kind in ('xlsx', 'pdf', 'svg', 'dxf', 'json', 'zip')),
  path text not null check (char_length(path) between 1 and 500),
  sha256 text not null,
  size_bytes bigint not null check (size_bytes >= 0),
  created_at timestamptz not null default now(),
  unique (quote_id, path),
  foreign key (quote_id, org_id) references estimator.quotes (id, org_id) on delete cascade,
  foreign key (org_id, sha256) references estimator.evidence_blobs (org_id, sha256)
);
create index documents_blob on estimator.documents (org_id, sha256);
alter table estimator.quotes
  add foreign key (org_id, pack_sha) references estimator.evidence_blobs (org_id, sha256);
create index quotes_pack on estimator.quotes (org_id, pack_sha) where pack_sha is not null;

-- ------------------------------------------------------------------ events and repeated calls

create table estimator.estimate_events (
  quote_id uuid not null,
  org_id uuid not null,
  position integer not null check (position >= 1),
  kind text not null check (kind in ('PROGRESS', 'GATE_RESULT', 'DONE', 'ERROR')),
  data json not null check (json_typeof(data) = 'object'),
  at timestamptz not null default clock_timestamp(),
  primary key (quote_id, position),
  foreign key (quote_id, org_id) references estimator.quotes (id, org_id) on delete cascade
);

-- A notice only wakes those who read the rows; of a quote's first event nobody can know yet.
create function estimator.announce_events() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  perform pg_notify('kis_events', fresh.quote_id::text)
    from (select distinct quote_id from inserted where position > 1) fresh;
  return null;
end
$$;
create trigger announced after insert on estimator.estimate_events
  referencing new table as inserted
  for each statement execute function estimator.announce_events();

create table estimator.idempotency_keys (
  org_id uuid not null references shared.organisations,
  key text not null check (char_length(key) between 1 and 255),
  request_sha text not null check (request_sha ~ '^[0-9a-f]{64}$'),
  quote_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (org_id, key),
  foreign key (quote_id, org_id) references estimator.quotes (id, org_id) on delete cascade
    deferrable initially deferred
);
comment on table estimator.idempotency_keys is
  'The key is taken before its quote is written, so that equal calls wait for the first.';
create index idempotency_keys_age on estimator.idempotency_keys (created_at);
create index idempotency_keys_quote on estimator.idempotency_keys (quote_id);

-- ------------------------------------------------------------------ a superseded quote is locked

create function estimator.refuse_locked() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  if old.standing = 'superseded' then
    raise exception using errcode = 'KS002',
      message = format('quote %s revision %s is superseded', old.number, old.revision);
  end if;
  if tg_op = 'DELETE' then
    return old;
  end if;
  return new;
end
$$;
create trigger locked before update or delete on estimator.quotes
  for each row execute function estimator.refuse_locked();

-- The same for the rows of a quote. A document made later from a sealed pack may still be added.
create function estimator.refuse_locked_part() returns trigger
  language plpgsql set search_path = ''
  as $$
declare
  touched uuid[] := case tg_op
    when 'INSERT' then array[new.quote_id]
    when 'DELETE' then array[old.quote_id]
    else array[old.quote_id, new.quote_id]
  end;
begin
  if exists (select from estimator.quotes q
             where q.id = any (touched) and q.standing = 'superseded') then
    raise exception using errcode = 'KS002', message = 'the quote is superseded';
  end if;
  if tg_op = 'DELETE' then
    return old;
  end if;
  return new;
end
$$;
create trigger locked before insert or update or delete on estimator.quote_inputs
  for each row execute function estimator.refuse_locked_part();
create trigger locked before insert or update or delete on estimator.panels
  for each row execute function estimator.refuse_locked_part();
create trigger locked before insert or update or delete on estimator.breakers
  for each row execute function estimator.refuse_locked_part();
create trigger locked before insert or update or delete on estimator.quote_items
  for each row execute function estimator.refuse_locked_part();
create trigger locked before insert or update or delete on estimator.estimate_events
  for each row execute function estimator.refuse_locked_part();
create trigger locked before update or delete on estimator.documents
  for each row execute function estimator.refuse_locked_part();
create trigger append_only before update or delete on estimator.catalog_items
  for each row execute function shared.refuse_change();

-- ------------------------------------------------------------------ numbers

-- The next number of the caller's organisation on a day, for a quote that is about to be written.
-- Its row, and the end of the audit log, are locked until the transaction ends: let it be a short
-- one of its own. A number whose quote is not written after all is not given again.
create function estimator.take_number(wanted date, quote uuid, trace text) returns text
  language plpgsql security definer set search_path = ''
  as $$
declare
  taken integer;
  made text;
begin
  if not shared.caller_is('estimator') then
    raise insufficient_privilege using message = 'an estimator is needed';
  end if;
  perform shared.ensure_caller();
  insert into estimator.number_sequences as s (org_id, day, last)
    values (shared.caller_org(), wanted, 1)
    on conflict (org_id, day) do update set last = s.last + 1
    returning s.last into taken;
  made := 'KIS-' || to_char(wanted, 'YYYYMMDD') || '-'
    || case when taken < 10000 then lpad(taken::text, 4, '0') else taken::text end;
  perform shared.audit('estimate.numbered', quote::text, jsonb_build_object('number', made), trace);
  return made;
end
$$;

-- ------------------------------------------------------------------ who may do what

revoke all on all tables in schema estimator from public, anon, authenticated;
revoke all on all functions in schema estimator from public, anon;
grant execute on all functions in schema estimator to authenticated, service_role;
grant select on all tables in schema estimator to authenticated;
grant select, insert, update, delete on all tables in schema estimator to service_role;
grant insert on estimator.quotes, estimator.quote_inputs, estimator.estimate_events,
  estimator.idempotency_keys, estimator.catalog_versions, estimator.catalog_items to authenticated;
grant insert, update on estimator.customers to authenticated;

do $$
declare
  name text;
begin
  foreach name in array array['customers', 'number_sequences', 'quotes', 'quote_inputs', 'panels',
    'breakers', 'quote_items', 'evidence_blobs', 'documents', 'estimate_events', 'idempotency_keys']
  loop
    execute format('alter table estimator.%I enable row level security', name);
    execute format(
      'create policy read_own on estimator.%I for select to authenticated
         using (org_id = (select shared.caller_org()) and (select shared.caller_is(''viewer'')))',
      name);
  end loop;
  foreach name in array array['customers', 'quote_inputs', 'idempotency_keys']
  loop
    execute format(
      'create policy add_own on estimator.%I for insert to authenticated
         with check (org_id = (select shared.caller_org()) and (select shared.caller_is(''estimator'')))',
      name);
  end loop;
end
$$;

-- A caller adds a quote as it starts; what becomes of it is written by the worker.
create policy add_own on estimator.quotes for insert to authenticated
  with check (org_id = (select shared.caller_org()) and (select shared.caller_is('estimator'))
    and created_by = (select shared.caller_id()) and status = 'pending' and attempt = 0
    and exists (select from estimator.catalog_versions v where v.id = catalog_version));
create policy add_first on estimator.estimate_events for insert to authenticated
  with check (org_id = (select shared.caller_org()) and (select shared.caller_is('estimator'))
    and position = 1 and kind = 'PROGRESS');
create policy change_own on estimator.customers for update to authenticated
  using (org_id = (select shared.caller_org()) and (select shared.caller_is('estimator')))
  with check (org_id = (select shared.caller_org()));

alter table estimator.catalog_versions enable row level security;
alter table estimator.catalog_items enable row level security;
create policy read_own on estimator.catalog_versions for select to authenticated
  using ((org_id is null or org_id = (select shared.caller_org()))
    and (select shared.caller_is('viewer')));
create policy read_own on estimator.catalog_items for select to authenticated
  using ((org_id is null or org_id = (select shared.caller_org()))
    and (select shared.caller_is('viewer')));
create policy add_own on estimator.catalog_versions for insert to authenticated
  with check (org_id = (select shared.caller_org()) and (select shared.caller_is('admin')));
create policy add_own on estimator.catalog_items for insert to authenticated
  with check (org_id = (select shared.caller_org()) and (select shared.caller_is('admin'))
    and estimator.is_own_version(version_id, org_id));
