-- Every query on price books, by name.

-- name: version_in_force^
-- An organisation counts its own versions from 1; 0 is the price book that came with the program.
select id, case when org_id is null then 0 else number end as number,
       sha256, name, version, sample, items, created_at
  from estimator.catalog_versions
  where org_id = shared.caller_org() or (org_id is null and sha256 = :program_sha)
  order by org_id nulls last, catalog_versions.number desc
  limit 1;

-- name: numbered_version^
select id, number, sha256, name, version, sample, items, created_at
  from estimator.catalog_versions
  where org_id = shared.caller_org() and number = :number
union all
select id, 0, sha256, name, version, sample, items, created_at
  from estimator.catalog_versions
  where org_id is null and sha256 = :program_sha and :number = 0;

-- name: versions
select case when org_id is null then 0 else number end as number,
       sha256, name, version, sample, items, created_at
  from estimator.catalog_versions
  where org_id = shared.caller_org() or (org_id is null and sha256 = :program_sha)
  order by org_id nulls last, catalog_versions.number desc
  limit :size offset :offset;

-- name: count_versions$
select count(*)
  from estimator.catalog_versions
  where org_id = shared.caller_org() or (org_id is null and sha256 = :program_sha);

-- name: page_of_items
select kind, sku, name, unit_price, fields
  from estimator.catalog_items
  where version_id = :version_id
    and (:kind::text is null or kind = :kind) and search like all (:patterns::text[])
  order by kind, sku
  limit :size offset :offset;

-- name: count_items$
select count(*)
  from estimator.catalog_items
  where version_id = :version_id
    and (:kind::text is null or kind = :kind) and search like all (:patterns::text[]);

-- name: version_files$
select files from estimator.catalog_versions where id = :id;

-- name: add_program_version$
insert into estimator.catalog_versions (org_id, number, sha256, name, version, sample, files, items)
  select null, coalesce(max(number), 0) + 1, :sha256, :name, :version, :sample, :files, :items
    from estimator.catalog_versions where org_id is null
    having not exists (select from estimator.catalog_versions
                       where org_id is null and sha256 = :sha256)
  on conflict do nothing
  returning id;

-- name: add_version^
insert into estimator.catalog_versions
    (org_id, number, sha256, name, version, sample, files, items, created_by)
  values (shared.caller_org(), :number, :sha256, :name, :version, :sample, :files, :items,
    shared.caller_id())
  returning id, org_id;

-- name: add_items!
insert into estimator.catalog_items (version_id, org_id, kind, sku, name, unit_price, search, fields)
  select :version_id, :org_id, x.kind, x.sku, x.name, x."unitPrice", x.search, x.fields
    from jsonb_to_recordset(:items)
      x (kind text, sku text, name text, "unitPrice" bigint, search text, fields jsonb);
