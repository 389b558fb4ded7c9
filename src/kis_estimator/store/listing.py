"""Pages of quotes: filtered, searched and sorted by the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from kis_estimator.store.sql import Conn, Row

SORTS: Mapping[str, str] = {
    "createdAt": "created_at",
    "updatedAt": "updated_at",
    "number": "number",
    "total": "total",
}
FILTERS: Mapping[str, str] = {
    "status": "status = {}",
    "standing": "standing = {}",
    "gatesPassed": "gates_passed::text = {}",
    "customer": "customer ->> 'name' = {}",
    "day": "day::text = {}",
}
_COLUMNS = sql.SQL(
    "id, number, revision, revised_from, standing, status, customer, project, supply, total,"
    " gates_passed, created_at, updated_at"
)
_SEARCHED = sql.SQL(
    "(number ilike {0} or customer ->> 'name' ilike {0} or coalesce(project, '') ilike {0})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWish:
    """Which page of quotes.

    `sort` is a key of SORTS; `filters` are keys of FILTERS with values, all of which must hold.
    """

    page: int
    size: int
    sort: str = "createdAt"
    descending: bool = True
    filters: Sequence[tuple[str, str]]
    search: str | None = None


def page_of_quotes(conn: Conn, wish: PageWish) -> tuple[list[Row], int]:
    """Return the quotes of a page and how many there are in all."""
    where = [sql.SQL(FILTERS[name]).format(sql.Literal(value)) for name, value in wish.filters]
    if wish.search:
        where.append(_SEARCHED.format(sql.Literal(f"%{like_escaped(wish.search)}%")))
    condition = sql.SQL(" and ").join(where) if where else sql.SQL("true")
    direction = sql.SQL("desc nulls last" if wish.descending else "asc nulls last")
    query = sql.SQL(
        "select {columns} from estimator.quotes where {condition}"
        " order by {sort} {direction}, id limit {size} offset {offset}"
    ).format(
        columns=_COLUMNS,
        condition=condition,
        sort=sql.Identifier(SORTS[wish.sort]),
        direction=direction,
        size=sql.Literal(wish.size),
        offset=sql.Literal((wish.page - 1) * wish.size),
    )
    count = sql.SQL("select count(*) as total from estimator.quotes where {}").format(condition)
    rows = conn.execute(query).fetchall()
    counted: dict[str, Any] | None = conn.execute(count).fetchone()
    return rows, 0 if counted is None else counted["total"]


def like_escaped(text: str) -> str:
    r"""Return text in which the signs of a LIKE pattern stand for themselves.

    >>> like_escaped("50%_a")
    '50\\%\\_a'
    """
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
