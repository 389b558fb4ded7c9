"""The named queries of `queries.sql` and `catalog.sql`."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import Any

import aiosql
from psycopg import Connection

Row = dict[str, Any]
Conn = Connection[Row]


@cache
def queries(name: str = "queries") -> Any:  # noqa: ANN401 - functions made from the SQL file
    """Return the queries of a file by name; each takes a connection and named parameters."""
    with as_file(files("kis_estimator.store") / f"{name}.sql") as path:
        return aiosql.from_path(path, "psycopg", mandatory_parameters=False)
