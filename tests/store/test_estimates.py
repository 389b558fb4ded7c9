"""Quotes, revisions, events, numbers and the audit log as rows."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import CheckViolation
from tests.store import quotes
from tests.store.conftest import Dsn

from kis_estimator.errors import KisError
from kis_estimator.service import orders
from kis_estimator.store import estimates
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.estimates import Happened
from kis_estimator.store.listing import PageWish, page_of_quotes

JOBS = "public.procrastinate_jobs"
PROGRESS = Happened("PROGRESS", {"stage": "critic", "progress": 0.5}, datetime.now(UTC))


def code(error: pytest.ExceptionInfo[KisError]) -> str:
    return error.value.notices[0].code


def test_numbers_rise_without_a_gap_under_fifty_callers(db: Database, principal: Principal) -> None:
    order = quotes.order_of(quotes.book(db, principal))

    def place(_: int) -> str:
        answer = orders.place(db, principal, order, orders.Call())[1]
        return str(json.loads(answer)["number"])

    with ThreadPoolExecutor(50) as pool:
        numbers = sorted(pool.map(place, range(50)))
    assert [number[-4:] for number in numbers] == [f"{n:04d}" for n in range(1, 51)]
    assert all(re.fullmatch(r"KIS-\d{8}-\d{4}", number) for number in numbers)


def test_an_order_is_one_transaction(db: Database, principal: Principal, dsn: Dsn) -> None:
    """Where the job cannot be queued there is no quote; its number is not given again."""
    first = quotes.ordered(db, principal)
    with psycopg.connect(dsn("postgres"), autocommit=True) as owner:
        owner.execute(f"alter table {JOBS} add constraint full_up check (false) not valid")
        try:
            with pytest.raises(CheckViolation):
                quotes.ordered(db, principal)
        finally:
            owner.execute(f"alter table {JOBS} drop constraint full_up")
    second = quotes.ordered(db, principal)
    with db.tenant(principal) as conn:
        rows = quotes.rows(conn, "select id, number from estimator.quotes order by number")
    assert [row["id"] for row in rows] == [first, second]
    assert rows[1]["number"].endswith("0003")


def test_fifty_equal_calls_make_one_quote(db: Database, principal: Principal) -> None:
    order = quotes.order_of(quotes.book(db, principal))

    def place(_: int) -> tuple[UUID, bytes]:
        return orders.place(db, principal, order, orders.Call("the same"))

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(place, range(50)))
    assert len(answers) == 1
    with db.tenant(principal) as conn:
        assert len(quotes.rows(conn, "select from estimator.quotes")) == 1
    with db.login() as conn:
        jobs = quotes.rows(
            conn,
            "select from procrastinate_jobs where args ->> 'quote_id' = %(id)s",
            id=str(answers.pop()[0]),
        )
    assert len(jobs) == 1


def test_a_key_with_another_order_is_refused(db: Database, principal: Principal) -> None:
    book = quotes.book(db, principal)
    orders.place(db, principal, quotes.order_of(book), orders.Call("k"))
    other = quotes.order_of(book, quotes.REQUEST.replace(b"LP-1", b"LP-2"))
    with pytest.raises(KisError) as error:
        orders.place(db, principal, other, orders.Call("k"))
    assert code(error) == "IDEMPOTENCY_CONFLICT"
    stranger = Principal(uuid4(), uuid4(), "estimator")
    orders.place(db, stranger, other, orders.Call("k"))


def test_the_first_answer_is_replayed_when_the_quote_is_done(
    db: Database, principal: Principal
) -> None:
    order = quotes.order_of(quotes.book(db, principal))
    quote_id, first = orders.place(db, principal, order, orders.Call("k"))
    assert quotes.complete(db, quote_id)
    assert orders.place(db, principal, order, orders.Call("k")) == (quote_id, first)
    with db.tenant(principal) as conn:
        assert b'"status":"completed"' in orders.answer(estimates.quote(conn, quote_id))


def test_a_revision_takes_over_when_it_is_done(db: Database, principal: Principal) -> None:
    first = quotes.ordered(db, principal)
    with pytest.raises(KisError) as error:
        quotes.ordered(db, principal, base=first)
    assert code(error) == "ESTIMATE_UNFINISHED"
    quotes.complete(db, first)
    second = quotes.ordered(db, principal, base=first)
    with pytest.raises(KisError) as error:
        quotes.ordered(db, principal, base=first)
    assert code(error) == "REVISION_PENDING"
    with db.tenant(principal) as conn:
        assert [row["standing"] for row in estimates.revisions(conn, second)] == [
            "current", "proposed",
        ]  # fmt: skip
    quotes.complete(db, second)
    with db.tenant(principal) as conn:
        found = estimates.revisions(conn, first)
    assert [(row["revision"], row["standing"]) for row in found] == [
        (1, "superseded"), (2, "current"),
    ]  # fmt: skip
    with pytest.raises(KisError) as error:
        quotes.ordered(db, principal, base=first)
    assert code(error) == "QUOTE_SUPERSEDED"


def test_two_revisions_at_once_make_one(db: Database, principal: Principal) -> None:
    first = quotes.ordered(db, principal)
    quotes.complete(db, first)

    def revise(_: int) -> str:
        try:
            return str(quotes.ordered(db, principal, base=first))
        except KisError as error:
            return error.notices[0].code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(revise, range(8)))
    assert answers.count("REVISION_PENDING") == 7


def test_a_failed_revision_leaves_the_quote_in_force(db: Database, principal: Principal) -> None:
    first = quotes.ordered(db, principal)
    quotes.complete(db, first)
    second = quotes.ordered(db, principal, base=first)
    with db.service() as conn:
        assert estimates.fail(conn, second, {"code": "X", "message": "x", "details": []}, [])
        assert not estimates.fail(conn, second, {"code": "Y", "message": "y"}, [])
    third = quotes.ordered(db, principal, base=first)
    with db.tenant(principal) as conn:
        found = estimates.revisions(conn, third)
    assert [(row["revision"], row["standing"]) for row in found] == [
        (1, "current"), (2, "withdrawn"), (3, "proposed"),
    ]  # fmt: skip


PARTS = (
    "quotes", "quote_inputs", "panels", "breakers", "quote_items", "documents", "estimate_events",
)  # fmt: skip


@pytest.mark.parametrize("table", PARTS)
def test_a_superseded_quote_is_locked(db: Database, principal: Principal, table: str) -> None:
    first = quotes.ordered(db, principal)
    quotes.complete(db, first)
    second = quotes.ordered(db, principal, base=first)
    quotes.complete(db, second)
    name = sql.Identifier("estimator", table)
    key = sql.Identifier("id" if table == "quotes" else "quote_id")
    delete = sql.SQL("delete from {} where {} = %s").format(name, key)
    update = sql.SQL("update {0} set {1} = {1} where {1} = %s").format(name, key)
    for query in (delete, update):
        with pytest.raises(psycopg.Error) as error, db.service() as conn:
            conn.execute(query, [first])
        assert error.value.sqlstate == "KS002"
    with db.service() as conn:
        assert conn.execute(update, [second]).rowcount > 0


def test_a_run_that_was_overtaken_writes_nothing(db: Database, principal: Principal) -> None:
    quote_id = quotes.ordered(db, principal)
    with db.service() as conn:
        slow = estimates.claim_quote(conn, quote_id)
    with db.service() as conn:
        fast = estimates.claim_quote(conn, quote_id)
    assert slow is not None
    assert fast is not None
    with db.service() as conn:
        assert not estimates.add_events(conn, slow, [PROGRESS])
        assert estimates.add_events(conn, fast, [PROGRESS])
    made = quotes.results(fast.number)
    with db.service() as conn:
        estimates.expect_blobs(conn, fast.org_id, [made.pack])
        assert estimates.complete(conn, fast, made, [quotes.done()])
    with db.service() as conn:
        assert not estimates.complete(conn, slow, made, [quotes.done()])
        assert estimates.claim_quote(conn, quote_id) is None
    with db.tenant(principal) as conn:
        events = estimates.events(conn, quote_id, 0)
    assert [event["position"] for event in events] == [1, 2, 3]
    assert [event["kind"] for event in events] == ["PROGRESS", "PROGRESS", "DONE"]


def test_results_are_rows_that_add_up(db: Database, principal: Principal) -> None:
    quote_id = quotes.ordered(db, principal)
    quotes.complete(db, quote_id)
    with db.tenant(principal) as conn:
        row = quotes.rows(
            conn,
            "select supply, total, (select sum(lines_sum * quantity) from estimator.panels) as sum,"
            " (select sum(amount) from estimator.quote_items) as items,"
            " (select count(*) from estimator.breakers where role = 'branch') as branches"
            " from estimator.quotes",
        )[0]
    assert row["supply"] == row["sum"] == row["items"]
    assert row["total"] > row["supply"] > 0
    assert row["branches"] == 3


def test_the_audit_log_is_a_chain(db: Database, principal: Principal, dsn: Dsn) -> None:
    for _ in range(3):
        quotes.complete(db, quotes.ordered(db, principal))
    check = "select * from shared.verify_audit(%(org)s)"
    with db.service() as conn:
        assert quotes.rows(conn, check, org=principal.org_id) == [{"checked": 6, "broken_at": None}]
        for verb in (
            "delete from shared.audit_logs",
            "update shared.audit_logs set details = '{}'",
        ):
            with pytest.raises(psycopg.Error), conn.transaction():
                conn.execute(verb.encode())
    with psycopg.connect(dsn("postgres"), autocommit=True) as owner:
        owner.execute("alter table shared.audit_logs disable trigger append_only")
        owner.execute(
            "update shared.audit_logs set details = '{}' where org_id = %s and seq = 3",
            [principal.org_id],
        )
        owner.execute("alter table shared.audit_logs enable trigger append_only")
    with db.service() as conn:
        assert quotes.rows(conn, check, org=principal.org_id) == [{"checked": 6, "broken_at": 3}]


def test_a_completed_quote_has_all_it_needs(db: Database, principal: Principal) -> None:
    quote_id = quotes.ordered(db, principal)
    with pytest.raises(CheckViolation), db.service() as conn:
        conn.execute(
            "update estimator.quotes set status = 'completed', response = '{}' where id = %s",
            [quote_id],
        )


def wish(**fields: object) -> PageWish:
    return PageWish(**{"page": 1, "size": 10, "filters": [], **fields})  # type: ignore[arg-type]


def test_pages_are_filtered_searched_and_sorted(db: Database, principal: Principal) -> None:
    ids = [quotes.ordered(db, principal) for _ in range(5)]
    quotes.complete(db, ids[2])
    with db.tenant(principal) as conn:
        rows, total = page_of_quotes(conn, wish(size=2, page=2, sort="number", descending=False))
        assert ([row["id"] for row in rows], total) == (ids[2:4], 5)
        rows, total = page_of_quotes(conn, wish(filters=[("status", "completed")]))
        assert ([row["id"] for row in rows], total) == ([ids[2]], 1)
        assert page_of_quotes(conn, wish(search="-0004"))[1] == 1
        assert page_of_quotes(conn, wish(search="전기"))[1] == 5
        assert page_of_quotes(conn, wish(search="%"))[1] == 0
        assert page_of_quotes(conn, wish(filters=[("customer", "' or true --")]))[1] == 0
        rows, _ = page_of_quotes(conn, wish(sort="total"))
        assert rows[0]["id"] == ids[2]
