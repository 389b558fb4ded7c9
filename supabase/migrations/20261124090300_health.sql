-- What an operator asks first, in one call: is it there, is it in UTC, is anything stuck.

create function shared.health_check_detailed() returns jsonb
  language sql stable security definer set search_path = ''
  as $$
    select jsonb_build_object(
      'status', 'ok',
      'ts', to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'timeZone', current_setting('TimeZone'),
      'serverVersion', current_setting('server_version'),
      'migration', (select max(m.version) from supabase_migrations.schema_migrations m),
      'connections', (select count(*) from pg_stat_activity a where a.datname = current_database()),
      'sizeBytes', pg_database_size(current_database()),
      'queue', (
        select jsonb_build_object(
          'todo', count(*) filter (where j.status = 'todo'),
          'doing', count(*) filter (where j.status = 'doing'),
          'failed', count(*) filter (where j.status = 'failed'))
        from public.procrastinate_jobs j),
      'oldestUnfinishedSec', (
        select coalesce(extract(epoch from now() - min(q.created_at))::bigint, 0)
        from estimator.quotes q where q.status in ('pending', 'processing')),
      'tables', (
        select jsonb_object_agg(c.relname, greatest(c.reltuples, 0)::bigint)
        from pg_class c
        where c.relnamespace = 'estimator'::regnamespace and c.relkind = 'r'),
      'unprotectedTables', (
        select coalesce(jsonb_agg(c.oid::regclass::text), '[]')
        from pg_class c
        where c.relnamespace in ('estimator'::regnamespace, 'shared'::regnamespace)
          and c.relkind = 'r' and not c.relrowsecurity))
  $$;
revoke all on function shared.health_check_detailed() from public, anon, authenticated;
grant execute on function shared.health_check_detailed() to kis_api, service_role;

-- The figures of the queue that monitoring reads: how many wait, and since when.
create function shared.queue_figures(out waiting bigint, out running bigint, out oldest_sec double precision)
  language sql stable security definer set search_path = ''
  as $$
    select count(*) filter (where j.status = 'todo'),
           count(*) filter (where j.status = 'doing'),
           coalesce((select extract(epoch from now() - min(q.created_at))
                     from estimator.quotes q where q.status in ('pending', 'processing')), 0)
    from public.procrastinate_jobs j
    where j.status in ('todo', 'doing')
  $$;
revoke all on function shared.queue_figures() from public, anon, authenticated;
grant execute on function shared.queue_figures() to kis_api, service_role;
