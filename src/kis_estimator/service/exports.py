"""The pack that a customer gets, made of the sealed one."""

from __future__ import annotations

import io
from collections.abc import Collection
from uuid import UUID

from kis_estimator.evidence import export_for_customer, open_pack, sha256
from kis_estimator.service.jobs import PACK_TYPE, Workshop, put_all
from kis_estimator.store import estimates
from kis_estimator.store.blobs import blob_key
from kis_estimator.store.estimates import Stored, StoredDocument

KINDS = ("dxf", "json", "pdf", "svg", "xlsx")


def export_path(kinds: Collection[str]) -> str:
    """Return the path of an export among the documents.

    >>> export_path(["xlsx", "pdf"])
    'exports/pdf-xlsx.zip'
    """
    return f"exports/{'-'.join(sorted(kinds))}.zip"


def export_quote(shop: Workshop, quote_id: UUID, kinds: Collection[str]) -> None:
    """Make the customer's pack of some kinds of documents; the same again makes the same."""
    with shop.database.service() as conn:
        row = estimates.pack(conn, quote_id)
    sealed = shop.blobs.get(blob_key(row["org_id"], row["pack_sha"]))
    out = io.BytesIO()
    with open_pack(io.BytesIO(sealed)) as pack:
        export_for_customer(pack, out, kinds)
    data = out.getvalue()
    blob = Stored(sha256=sha256(data), size_bytes=len(data), media_type=PACK_TYPE)
    put_all(shop, row["org_id"], {blob: data})
    made = StoredDocument(kind="zip", path=export_path(kinds), blob=blob)
    with shop.database.service() as conn:
        estimates.add_documents(conn, row["org_id"], quote_id, [made])
