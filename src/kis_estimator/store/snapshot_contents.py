"""What in a database is this product's, and figures by which two copies of it are compared.

The schemas of SCHEMAS, and of `public` what is named as the job queue is. The figures are the same
on every version of PostgreSQL and with all settings of a session.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Connection, sql
from psycopg.errors import InsufficientPrivilege
from psycopg.rows import TupleRow

SCHEMAS = ("shared", "estimator", "supabase_migrations")
QUEUE_PREFIX = "procrastinate_"

Conn = Connection[TupleRow]

_SETTINGS = {
    "search_path": "",  # so that names come with their schema
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "row_security": "off",  # an error instead of rows that are left out
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

# Everything that can have privileges: its kind in GRANT, its name, owner and privileges.
OBJECTS: LiteralString = """
with places as (
  select n.oid, n.nspname, n.nspname = 'public' as queue_alone
    from pg_namespace n
    where n.nspname in ('shared', 'estimator', 'supabase_migrations', 'public')
), objects (kind, name, owner, acl, by_default) as (
  select 'schema', quote_ident(n.nspname), n.nspowner, n.nspacl, acldefault('n', n.nspowner)
    from pg_namespace n join places p on p.oid = n.oid where not p.queue_alone
  union all
  select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass::text,
         c.relowner, c.relacl,
         acldefault((case c.relkind when 'S' then 's' else 'r' end)::"char", c.relowner)
    from pg_class c join places p on p.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'S')
      and (not p.queue_alone or starts_with(c.relname, 'procrastinate_'))
  union all
  select 'routine', f.oid::regprocedure::text, f.proowner, f.proacl, acldefault('f', f.proowner)
    from pg_proc f join places p on p.oid = f.pronamespace
    where not p.queue_alone or starts_with(f.proname, 'procrastinate_')
  union all
  select 'type', t.oid::regtype::text, t.typowner, t.typacl, acldefault('T', t.typowner)
    from pg_type t join places p on p.oid = t.typnamespace
    left join pg_class c on c.oid = t.typrelid
    where (t.typtype in ('e', 'd', 'r') or c.relkind = 'c')
      and (not p.queue_alone or starts_with(t.typname, 'procrastinate_'))
)
"""

_TABLES: LiteralString = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and (n.nspname = any (%s)
    or (n.nspname = 'public' and starts_with(c.relname, %s)))
  order by 1, 2
"""

# What makes a schema besides rows and privileges, each by its kind and name. Constraints that say
# no more than a column's "not null" are counted as such only since PostgreSQL 18, and the text of a
# view is written differently since 16: its columns are compared.
_DEFINITIONS: LiteralString = """
, relations as (
  select c.*, c.oid::regclass::text as name
    from pg_class c join places p on p.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'S', 'c')
      and (not p.queue_alone or starts_with(c.relname, 'procrastinate_'))
), parts (kind, name, definition, class, oid) as (
  select 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid),
         'pg_class'::regclass, i.indexrelid
    from pg_index i join relations r on r.oid = i.indrelid
  union all
  select 'constraint', concat_ws('.', coalesce(r.name, t.oid::regtype::text), c.conname),
         pg_get_constraintdef(c.oid), 'pg_constraint'::regclass, c.oid
    from pg_constraint c left join relations r on r.oid = c.conrelid
    left join (pg_type t join objects o on o.kind = 'type' and o.name = t.oid::regtype::text)
      on t.oid = c.contypid
    where c.contype <> 'n' and (r.oid is not null or t.oid is not null)
  union all
  select 'trigger', r.name || '.' || t.tgname,
         concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled), 'pg_trigger'::regclass, t.oid
    from pg_trigger t join relations r on r.oid = t.tgrelid where not t.tgisinternal
  union all
  select 'policy', r.name || '.' || p.polname,
         concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[],
                   pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)),
         'pg_policy'::regclass, p.oid
    from pg_policy p join relations r on r.oid = p.polrelid
  union all
  select 'relation', r.name,
         concat_ws(' ', r.relkind, r.relrowsecurity, r.relforcerowsecurity, r.relreplident,
                   r.relpersistence, r.reloptions),
         'pg_class'::regclass, r.oid
    from relations r
  union all
  select 'sequence of', r.name,
         concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
                   s.seqcache, s.seqcycle, d.deptype, d.refobjid::regclass, d.refobjsubid),
         null, null
    from pg_sequence s join relations r on r.oid = s.seqrelid
    left join pg_depend d on d.objid = s.seqrelid and d.deptype in ('a', 'i')
      and (d.classid, d.refclassid) = ('pg_class'::regclass, 'pg_class'::regclass)
  union all
  select 'routine', f.oid::regprocedure::text,
         case when f.prokind in ('f', 'p') then pg_get_functiondef(f.oid) else f.prosrc end,
         'pg_proc'::regclass, f.oid
    from pg_proc f join objects o on o.kind = 'routine' and o.name = f.oid::regprocedure::text
  union all
  select 'type', o.name,
         concat_ws(' ', t.typtype, t.typnotnull, t.typdefault,
                   nullif(format_type(t.typbasetype, t.typtypmod), '-'),
                   (select array_agg(e.enumlabel order by e.enumsortorder)
                      from pg_enum e where e.enumtypid = t.oid)),
         'pg_type'::regclass, t.oid
    from pg_type t join objects o on o.kind = 'type' and o.name = t.oid::regtype::text
  union all
  select 'schema', quote_ident(p.nspname), '', 'pg_namespace'::regclass, p.oid
    from places p where not p.queue_alone
)
select kind, name, definition from parts
union all
select 'column', r.name || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                 a.attgenerated, a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid))
  from pg_attribute a join relations r on r.oid = a.attrelid and r.relkind <> 'S'
  left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
  where a.attnum > 0 and not a.attisdropped
union all
select 'column grants', r.name || '.' || a.attname,
       string_agg(concat_ws(' ', coalesce(g.rolname, 'public'), x.privilege_type, x.is_grantable),
                  ', ' order by g.rolname, x.privilege_type)
  from pg_attribute a join relations r on r.oid = a.attrelid
  cross join aclexplode(a.attacl) x left join pg_roles g on g.oid = x.grantee
  where x.grantee <> r.relowner group by r.name, a.attname
union all
select 'default grants', concat_ws(' ', p.nspname, d.defaclrole::regrole, d.defaclobjtype),
       string_agg(concat_ws(' ', coalesce(g.rolname, 'public'), x.privilege_type, x.is_grantable),
                  ', ' order by g.rolname, x.privilege_type)
  from pg_default_acl d join places p on p.oid = d.defaclnamespace and not p.queue_alone
  cross join aclexplode(d.defaclacl) x left join pg_roles g on g.oid = x.grantee
  where x.privilege_type <> 'MAINTAIN' group by p.nspname, d.defaclrole, d.defaclobjtype
union all
select 'comment', concat_ws('.', m.kind || ' ' || m.name, nullif(d.objsubid, 0)), d.description
  from pg_description d join parts m on (m.class, m.oid) = (d.classoid, d.objoid)
"""

# The owner's privileges go without saying; MAINTAIN came with PostgreSQL 17, as part of ALL.
_GRANTS: LiteralString = """
select o.kind, o.name, coalesce(r.rolname, 'public'), a.privilege_type, a.is_grantable
  from objects o
  cross join aclexplode(coalesce(o.acl, o.by_default)) a
  left join pg_roles r on r.oid = a.grantee
  where a.grantee <> o.owner and a.privilege_type <> 'MAINTAIN'
"""

_ROLES: LiteralString = """
select r.rolname from objects o cross join aclexplode(o.acl) a join pg_roles r on r.oid = a.grantee
  where a.grantee <> o.owner
union
select r.rolname from pg_policy p join pg_class c on c.oid = p.polrelid
  join objects o on o.name = c.oid::regclass::text join pg_roles r on r.oid = any (p.polroles)
union
select r.rolname from pg_attribute t join pg_class c on c.oid = t.attrelid
  join objects o on o.name = c.oid::regclass::text cross join aclexplode(t.attacl) a
  join pg_roles r on r.oid = a.grantee where a.grantee <> o.owner
union
select r.rolname from pg_default_acl d join places p on p.oid = d.defaclnamespace
  cross join aclexplode(d.defaclacl) a join pg_roles r on r.oid in (a.grantee, d.defaclrole)
  where not p.queue_alone
"""

# Each row's hash counts once, in whatever order the rows come.
_SUM: LiteralString = """
select count(*),
       coalesce(sum(('x' || left(h, 16))::bit(64)::bigint::numeric), 0)::text,
       coalesce(sum(('x' || substr(h, 17, 16))::bit(64)::bigint::numeric), 0)::text
  from (select encode(sha256(convert_to(row(t.*)::text, 'UTF8')), 'hex') as h from only {} t) s
"""


@dataclass(frozen=True, slots=True)
class TableFigures:
    """How many rows a table has, and a checksum over them that no order changes."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Contents:
    """The figures of every table by its name, and checksums over the schema and the privileges.

    `schema` has one for each part of it, from schemas to comments, by its kind and name.
    """

    tables: Mapping[str, TableFigures]
    grants: str
    schema: Mapping[str, str]

    def differences(self, other: Contents) -> list[str]:
        """Return what is not the same in another copy: tables, parts of the schema, `grants`."""
        unequal = _unequal(self.tables, other.tables) + _unequal(self.schema, other.schema)
        return unequal if self.grants == other.grants else [*unequal, "grants"]


def _unequal(ours: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    return sorted(n for n in ours.keys() | others.keys() if ours.get(n) != others.get(n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose a database is: the installation's id, and the server's with the database's number.

    The first goes with the data, also to another server; the second is there before the first.
    """

    name: str
    installation: str | None = None
    project: str | None = None
    server: str | None = None

    def same_database(self, other: Identity) -> bool:
        """Whether both mean one database; different projects never do."""
        if len({self.project, other.project} - {None}) > 1:
            return False
        return (self.installation is not None and self.installation == other.installation) or (
            self.server is not None and self.server == other.server
        )


def settle(conn: Conn) -> None:
    """Set for the transaction what names and figures depend on."""
    settings = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in _SETTINGS.items()
    )
    conn.execute(sql.SQL("select {}").format(settings))


def tables(conn: Conn) -> list[tuple[str, str]]:
    """Return the schema and name of each of the product's tables, in order."""
    return conn.execute(_TABLES, [list(SCHEMAS), QUEUE_PREFIX]).fetchall()


def measure(conn: Conn) -> Contents:
    """Return the figures of what is there, as the transaction sees it."""
    settle(conn)
    figures = {}
    for name in tables(conn):
        query = sql.SQL(_SUM).format(sql.Identifier(*name))
        rows, *sums = _row(conn.execute(query).fetchone())
        figures[".".join(name)] = TableFigures(rows, _sha256(sums))
    granted = sorted(conn.execute(OBJECTS + _GRANTS).fetchall())
    made = conn.execute(OBJECTS + _DEFINITIONS).fetchall()
    schema = {f"{kind} {name}": _sha256([text]) for kind, name, text in made}
    return Contents(figures, _sha256(granted), schema)


def roles(conn: Conn) -> list[str]:
    """Return the roles that privileges and policies name."""
    return sorted(row[0] for row in conn.execute(OBJECTS + _ROLES))


def identity(conn: Conn) -> Identity:
    """Return whose the database is."""
    found = conn.execute("select to_regclass('shared.installation') is not null").fetchone()
    installation = project = server = None
    if _row(found)[0]:
        row = conn.execute("select id::text, project_ref from shared.installation").fetchone()
        installation, project = row or (None, None)
    (name, number) = _row(
        conn.execute(
            "select datname, oid::text from pg_database where datname = current_database()"
        ).fetchone()
    )
    try:
        with conn.transaction():
            row = conn.execute("select system_identifier::text from pg_control_system()").fetchone()
            server = f"{_row(row)[0]}/{number}"
    except InsufficientPrivilege:
        pass  # a host may keep it to itself
    return Identity(name=name, installation=installation, project=project, server=server)


def migrations(conn: Conn) -> list[str]:
    """Return the versions of the applied migrations, in order."""
    found = conn.execute("select to_regclass('supabase_migrations.schema_migrations') is not null")
    if not _row(found.fetchone())[0]:
        return []
    rows = conn.execute("select version from supabase_migrations.schema_migrations order by 1")
    return [version for (version,) in rows]


def _row(row: TupleRow | None) -> TupleRow:
    if row is None:
        raise LookupError("a query that always has a row has none")
    return row


def _sha256(value: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(value)).encode()).hexdigest()
