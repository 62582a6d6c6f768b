"""Which hosts a run could not maintain: a table of runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fold import HOSTS, Book

from runner.owed import owed_hosts

WAVES = (("1", ("web1",)), ("2", ("db1", "web2")), ("3", ("web10",)))


def owes(book: Book, *, abandoned: bool = False) -> dict[str, str]:
    return {owed.host: owed.reason for owed in owed_hosts(book.events, abandoned=abandoned)}


def planned(*, carried: Sequence[str] = (), **plan: str) -> Book:
    """Return a run up to its plan: hosts whose check was not ok are not planned."""
    owed = [
        {"host": h, "run": "run-0", "since": "2026-10-01T00:00:00.000000Z", "reason": "unreachable"}
        for h in carried
    ]
    book = Book()
    book.run(owed=owed).start().part("1", "playbook", HOSTS, **plan)
    return book.plan([host for host in HOSTS if host not in plan])


def decided(book: Book) -> Book:
    return book.document("daftar-temuan", "draft").finish(None, 2).row_2()


def changed(book: Book, **other: str) -> Book:
    """Change the planned hosts in one go."""
    planned_hosts = [host for host in HOSTS if book.state.plan and host in book.state.plan.hosts]
    decided(book).start()
    return book.part("1", "playbook", planned_hosts, changes=True, **other)


def test_a_host_that_the_check_did_not_reach_is_owed() -> None:
    book = planned(web2="unreachable", db1="unknown", web10="failed")
    assert owes(book) == {"db1": "unknown", "web2": "unreachable"}


def test_a_host_that_a_later_check_reached_is_not() -> None:
    book = planned(web2="unreachable")
    book.document("daftar-temuan", "draft").finish(None, 2)
    book.start().gate().decide("periksa ulang", "x").finish("periksa ulang", 1)
    book.start().part("1", "playbook", HOSTS).plan()
    assert owes(book) == {}


def test_what_failed_or_was_taken_back_is_told_as_failed_and_not_owed() -> None:
    book = changed(planned(), db1="failed", web2="unreachable").finish(None, 4).start()
    book.part("1", "suite", HOSTS, web2="failed").part("recover", "recover", ("web2",), changes=True)
    assert owes(book) == {}


def test_a_host_lost_at_its_change_or_at_its_rollback_is_owed() -> None:
    book = changed(planned(), db1="unreachable", web2="unknown").finish(None, 4).start()
    assert owes(book) == {"db1": "unreachable", "web2": "unknown"}
    book.part("1", "suite", HOSTS).part("recover", "recover", ("db1", "web2"), changes=True, db1="unknown")
    assert owes(book) == {"db1": "unknown"}


def test_tests_that_did_not_reach_a_changed_host_leave_it_to_the_rollback() -> None:
    book = changed(planned()).finish(None, 4).start().part("1", "suite", HOSTS, web1="unreachable")
    assert owes(book) == {}


def test_a_wave_left_out_is_owed_and_its_check_is_not_counted() -> None:
    book = decided(planned()).start()
    book.part("1", "playbook", ("web1",), changes=True, web1="failed").skip("1-check", "check", ("web1",))
    book.skip("2", "playbook", ("db1", "web2"))
    assert owes(book) == {"db1": "left out", "web2": "left out"}


def test_a_new_plan_forgets_what_was_left_out_under_the_old_one() -> None:
    book = decided(planned()).start().skip("2", "playbook", ("db1", "web2"))
    book.tell("plan_drifted", step=3, attempt=1, part="3-reprobe-1", hosts=["web10"], to=1)
    book.start().part("1", "playbook", HOSTS).plan(["web10"])
    assert owes(book) == {}


@pytest.mark.parametrize("end", ["run_stopped", "gate_closed"])
def test_a_run_given_up_owes_whoever_was_not_begun(end: str) -> None:
    book = decided(planned(web10="unreachable")).start().part("1", "playbook", ("web1",), changes=True)
    assert owes(book) == {"web10": "unreachable"}
    book.events.append(type(book.events[0])(99, end, book.now(), {}, ""))
    assert owes(book) == {"db1": "stopped", "web2": "stopped", "web10": "unreachable"}


def test_a_run_that_nobody_goes_on_with_is_given_up() -> None:
    assert owes(Book().run(), abandoned=True) == dict.fromkeys(("db1", "web1", "web2", "web10"), "stopped")
    book = Book().run().start().part("1", "playbook", HOSTS).plan(["db1"])
    assert owes(book, abandoned=True) == {"db1": "stopped"}


def test_a_closed_run_owes_nobody_for_its_end_alone() -> None:
    book = planned().document("daftar-temuan", "draft").finish(None, 2).row_2("dibatalkan", "end", "x")
    book.tell("run_finished", outcome="ended", step=2, reason="x")
    assert owes(book, abandoned=True) == {}


def test_a_host_owed_before_stays_so_with_its_first_date_until_it_was_changed() -> None:
    book = planned(carried=["web2", "db1"], db1="unreachable")
    first, second = owed_hosts(book.events)
    assert (first.host, first.run, first.since, first.reason) == (
        "db1",
        "run-0",
        "2026-10-01T00:00:00.000000Z",
        "unreachable",
    )
    assert second.host == "web2"
    changed(book)
    assert owes(book) == {"db1": "unreachable"}


def test_a_host_owed_before_that_needs_nothing_is_owed_no_more() -> None:
    book = Book().run(owed=[{"host": "web2", "run": "run-0", "since": "s", "reason": "unknown"}])
    book.start().part("1", "playbook", HOSTS)
    assert owes(book) == {"web2": "unknown"}
    assert owes(book.plan(["db1"])) == {}


def test_the_newest_reason_is_told_with_the_first_date() -> None:
    book = changed(planned(carried=["web2"]), web2="unknown")
    (owed,) = owed_hosts(book.events)
    assert (owed.run, owed.reason) == ("run-0", "unknown")


def test_a_host_whose_change_was_never_told_of_is_unknown_once_the_run_is_given_up() -> None:
    book = decided(planned()).start()
    at = {"step": 3, "attempt": 1, "part": "1", "kind": "playbook"}
    book.tell("action_started", **at, hosts=["web1"], changes=True)
    assert owes(book) == {}
    book.events.append(type(book.events[0])(99, "run_stopped", book.now(), {}, ""))
    assert owes(book)["web1"] == "unknown"
