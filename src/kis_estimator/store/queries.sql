-- Every query of the service on quotes, events and the queue, by name. Price books: catalog.sql.

-- name: ensure_caller$
select shared.ensure_caller();

-- name: audit$
select shared.audit(:action, :entity, :details, :trace_id);

-- name: append_audit$
select shared.append_audit(:org_id, null, :action, :entity, :details, null);

-- ------------------------------------------------------------------ a new quote

-- name: claim_key$
-- The key, where nobody used it before; waits for one who uses it right now.
insert into estimator.idempotency_keys (org_id, key, request_sha, quote_id)
  values (shared.caller_org(), :key, :request_sha, :quote_id)
  on conflict (org_id, key) do nothing
  returning key;

-- name: used_key^
select request_sha, quote_id from estimator.idempotency_keys where key = :key;

-- name: add_quote$
-- A quote with its customer, its input and its first event.
with known as (
  select id from estimator.customers
    where org_id = shared.caller_org() and name = :customer ->> 'name'
), refreshed as (
  update estimator.customers c
    set contact = coalesce(:customer ->> 'contact', c.contact),
        company = coalesce(:customer ->> 'company', c.company),
        email = coalesce(:customer ->> 'email', c.email)
    from known
    where c.id = known.id
      and (coalesce(:customer ->> 'contact', c.contact),
           coalesce(:customer ->> 'company', c.company),
           coalesce(:customer ->> 'email', c.email)) is distinct from (c.contact, c.company, c.email)
), added as (
  insert into estimator.customers as c (org_id, name, contact, company, email)
    select shared.caller_org(), :customer ->> 'name', :customer ->> 'contact',
           :customer ->> 'company', :customer ->> 'email'
      where not exists (select from known)
    -- A change of no key: it must not hold up who only refers to the row.
    on conflict (org_id, name) do update set updated_at = c.updated_at
    returning c.id
), client as (
  select id from known union all select id from added
), quote as (
  insert into estimator.quotes (id, org_id, number, revision, revised_from, standing, day,
    customer_id, customer, project, locale, catalog_version, last_event, created_by)
    select :id, shared.caller_org(), :number, :revision, :revised_from::uuid,
      case when :revised_from::uuid is null then 'current' else 'proposed' end, :day, client.id,
      :customer, :project, :locale, :catalog_version, 1, shared.caller_id()
    from client
    returning id, org_id, created_at
), input as (
  insert into estimator.quote_inputs (quote_id, org_id, filename, content, options)
    select id, org_id, :filename, :content, :options from quote
), event as (
  insert into estimator.estimate_events (quote_id, org_id, position, kind, data)
    select id, org_id, 1, 'PROGRESS', :event from quote
)
select created_at from quote;

-- name: revisable^
-- What a revision starts from, the latest of its number, and one that is under way.
select q.number, q.standing, q.status,
       (select max(r.revision) from estimator.quotes r
         where r.org_id = q.org_id and r.number = q.number) as last_revision,
       (select r.id from estimator.quotes r
         where r.org_id = q.org_id and r.number = q.number and r.standing = 'proposed') as open_id,
       (select r.id from estimator.quotes r
         where r.org_id = q.org_id and r.number = q.number and r.standing = 'current') as current_id
  from estimator.quotes q
  where q.id = :id;

-- ------------------------------------------------------------------ reading

-- name: quote^
select id, number, revision, revised_from, standing, status, customer, project, locale,
       supply, total, gates_passed, response::text, error, created_at, updated_at, last_event,
       (select r.id from estimator.quotes r
         where r.org_id = q.org_id and r.number = q.number and r.standing = 'current') as current_id
  from estimator.quotes q
  where id = :id;

-- name: quote_status^
select status, last_event from estimator.quotes where id = :id;

-- name: pack^
select q.number, q.revision, q.status, q.org_id, q.pack_sha, b.swept_at
  from estimator.quotes q
  left join estimator.evidence_blobs b on b.org_id = q.org_id and b.sha256 = q.pack_sha
  where q.id = :id;

-- name: revisions
select id, number, revision, revised_from, standing, status, customer, project, supply, total,
       gates_passed, created_at, updated_at
  from estimator.quotes
  where number = (select number from estimator.quotes where id = :id)
  order by revision;

-- name: documents
select d.id, d.kind, d.path, d.sha256, d.size_bytes, d.org_id, d.created_at, b.media_type
  from estimator.documents d
  join estimator.evidence_blobs b using (org_id, sha256)
  where d.quote_id = :quote_id and (:kind::text is null or d.kind = :kind) and b.swept_at is null
  order by d.path;

-- name: events
select position, kind, data, at from estimator.estimate_events
  where quote_id = :quote_id and position > :after
  order by position;

-- name: newest_events
-- The last event of each of these quotes, for those who cannot listen.
select quote_id, max(position) as position from estimator.estimate_events
  where quote_id = any (:quote_ids)
  group by quote_id;

-- ------------------------------------------------------------------ a run

-- name: claim_quote^
-- Take an unfinished quote for one more run. Whoever ran it before can no longer write.
update estimator.quotes q
  set status = 'processing', attempt = q.attempt + 1, started_at = coalesce(started_at, now())
  from estimator.quote_inputs i, estimator.catalog_versions v
  where q.id = :id and q.status in ('pending', 'processing')
    and i.quote_id = q.id and v.id = q.catalog_version
  returning q.id, q.org_id, q.number, q.revision, q.day, q.locale, q.created_at, q.attempt,
    i.filename, i.content, i.options, v.sha256 as catalog_sha, v.files as catalog_files;

-- name: hold_quote^
-- Lock a quote for the run that still holds it; no row where another run took it.
select id, org_id, number, revision, standing, last_event from estimator.quotes
  where id = :id and attempt = :attempt and status = 'processing'
  for update;

-- name: unfinished_quote^
select id, org_id, number, revision, standing, last_event from estimator.quotes
  where id = :id and status in ('pending', 'processing')
    and (:attempt::integer is null or attempt = :attempt)
  for update;

-- name: add_events!
insert into estimator.estimate_events (quote_id, org_id, position, kind, data, at)
  select :quote_id, :org_id, :last_event + e.ordinality, e.value ->> 'kind', e.value -> 'data',
         (e.value ->> 'at')::timestamptz
    from json_array_elements(:events) with ordinality e;

-- name: count_events!
update estimator.quotes set last_event = :last_event where id = :id;

-- name: expect_blobs!
-- Speak of objects before they are put: a sweep leaves them alone from now on.
insert into estimator.evidence_blobs as b (org_id, sha256, size_bytes, media_type)
  select :org_id, x.sha256, x."sizeBytes", x."mediaType"
    from jsonb_to_recordset(:blobs) x (sha256 text, "sizeBytes" bigint, "mediaType" text)
    order by x.sha256
  on conflict (org_id, sha256) do update set swept_at = null, last_put_at = now();

-- name: add_documents!
insert into estimator.documents (quote_id, org_id, kind, path, sha256, size_bytes)
  select :quote_id, :org_id, x.kind, x.path, x.sha256, x."sizeBytes"
    from jsonb_to_recordset(:documents) x (kind text, path text, sha256 text, "sizeBytes" bigint)
  on conflict (quote_id, path) do nothing;

-- name: add_panels!
insert into estimator.panels (quote_id, org_id, position, name, quantity, enclosure_sku, custom,
    width_mm, height_mm, depth_mm, ip_rating, fit_score, heat_w, imbalance_pct, lines_sum)
  select :quote_id, :org_id, p.ordinality, p.value ->> 'name', (p.value ->> 'quantity')::integer,
         e ->> 'sku', (e ->> 'custom')::boolean, (e ->> 'widthMm')::integer,
         (e ->> 'heightMm')::integer, (e ->> 'depthMm')::integer, e ->> 'ipRating',
         (e ->> 'fitScore')::numeric, (p.value ->> 'heatW')::numeric,
         (p.value -> 'phase' ->> 'imbalancePct')::numeric,
         (select sum((l ->> 'amount')::bigint) from jsonb_array_elements(p.value -> 'lines') l)
    from jsonb_array_elements(:panels) with ordinality p, lateral (select p.value -> 'enclosure') x (e);

-- name: add_breakers!
insert into estimator.breakers (quote_id, org_id, panel, position, circuit, role, model, phase,
    rated_current_a, load_a, loss_w, x_mm, y_mm, width_mm, height_mm)
  select :quote_id, :org_id, p.ordinality,
         row_number() over (partition by p.ordinality order by d.ordinality),
         d.value ->> 'circuit', d.value ->> 'role', d.value ->> 'model', d.value ->> 'phase',
         (d.value ->> 'ratedCurrentA')::numeric, (d.value ->> 'loadA')::numeric,
         (d.value ->> 'lossW')::numeric, (d.value ->> 'xMm')::numeric, (d.value ->> 'yMm')::numeric,
         (d.value ->> 'widthMm')::numeric, (d.value ->> 'heightMm')::numeric
    from jsonb_array_elements(:panels) with ordinality p,
         jsonb_array_elements(p.value -> 'placements') with ordinality d
    where d.value ->> 'role' in ('main', 'branch');

-- name: add_items!
insert into estimator.quote_items (quote_id, org_id, panel, position, group_name, sku, name, spec,
    unit, quantity, unit_price, amount, rule)
  select :quote_id, :org_id, p.ordinality, l.ordinality, l.value ->> 'group', l.value ->> 'sku',
         l.value ->> 'name', l.value ->> 'spec', l.value ->> 'unit',
         (l.value ->> 'quantity')::numeric, (l.value ->> 'unitPrice')::bigint,
         (l.value ->> 'amount')::bigint, l.value ->> 'rule'
    from jsonb_array_elements(:panels) with ordinality p,
         jsonb_array_elements(p.value -> 'lines') with ordinality l;

-- name: supersede!
update estimator.quotes set standing = 'superseded'
  where org_id = :org_id and number = :number and standing = 'current' and id <> :id;

-- name: complete_quote!
update estimator.quotes
  set status = 'completed', standing = 'current', response = :response, supply = :supply,
      total = :total, gates_passed = :gates_passed, design_sha = :design_sha,
      evidence_sha = :evidence_sha, pack_sha = :pack_sha, finished_at = now()
  where id = :id;

-- name: fail_quote!
update estimator.quotes
  set status = 'failed', error = :error, finished_at = now(),
      standing = case standing when 'proposed' then 'withdrawn' else standing end
  where id = :id;

-- ------------------------------------------------------------------ what is kept, and for how long

-- name: sweepable
-- Objects older than the retention time that no quote in force, and no unfinished one, refers to.
select b.org_id, b.sha256
  from estimator.evidence_blobs b
  where b.swept_at is null and b.last_put_at < now() - make_interval(days => :days)
    and not exists (
      select from estimator.documents d join estimator.quotes q on q.id = d.quote_id
      where d.org_id = b.org_id and d.sha256 = b.sha256 and q.standing in ('current', 'proposed'))
    and not exists (
      select from estimator.quotes q
      where q.org_id = b.org_id and q.pack_sha = b.sha256 and q.standing in ('current', 'proposed'))
  order by b.last_put_at
  limit :at_most
  for update skip locked;

-- name: mark_swept!
update estimator.evidence_blobs set swept_at = now() where org_id = :org_id and sha256 = :sha256;

-- name: forget_keys!
delete from estimator.idempotency_keys where created_at < now() - interval '7 days';

-- name: queue_figures^
select waiting, running, oldest_sec from shared.queue_figures();

-- name: health$
select shared.health_check_detailed();
