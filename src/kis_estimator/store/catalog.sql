-- Every query on price books, by name.

-- name: version_in_force^
select id, number, sha256 from estimator.catalog_versions
  where org_id = shared.caller_org() or (org_id is null and sha256 = :program_sha)
  order by org_id nulls last, number desc
  limit 1;

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

-- name: add_items!
insert into estimator.catalog_items (version_id, org_id, kind, sku, name, unit_price, search, fields)
  select :version_id, :org_id, x.kind, x.sku, x.name, x."unitPrice", x.search, x.fields
    from jsonb_to_recordset(:items)
      x (kind text, sku text, name text, "unitPrice" bigint, search text, fields jsonb);
