"""Work and waiting time of a row: gates, stops, reboots, clocks that jump, rows that overlap."""

from __future__ import annotations

import pytest
from fold import CONTOH, Book, sop

from runner.timing import StepTime, step_times

HOUR = 3600.0


def times(book: Book) -> list[tuple[int, int, float, float]]:
    """Return (row, attempt, work, waiting) of every attempt."""
    return [(t.step, t.attempt, t.work, t.waiting) for t in step_times(book.sop, book.events)]


def of(book: Book, step: int) -> StepTime:
    return next(time for time in step_times(book.sop, book.events) if time.step == step)


def started(step: int, attempt: int = 1, book: Book | None = None) -> Book:
    return (book or Book().run()).tell("step_started", step=step, attempt=attempt, parts=[])


def finished(book: Book, step: int, attempt: int = 1) -> Book:
    return book.tell("step_finished", step=step, attempt=attempt, outcome=None, next="end")


def test_a_row_without_a_gate_is_all_work() -> None:
    assert times(finished(started(1).pass_time(60), 1)) == [(1, 1, 60, 0)]


def test_a_row_under_way_has_no_end_yet() -> None:
    assert of(started(1).pass_time(60), 1).finished is None


def test_a_row_under_way_counts_up_to_now_when_now_is_given() -> None:
    book = started(1).pass_time(60)
    assert [time.work for time in step_times(book.sop, book.events, book.now())] == [60]


def test_without_now_a_row_under_way_counts_up_to_the_last_event() -> None:
    assert times(started(1).pass_time(60)) == [(1, 1, 0, 0)]


def gate(before: float, waiting: float) -> Book:
    """Return row 2 with a gate that opens after ``before`` seconds and is decided ``waiting`` later."""
    book = started(2).pass_time(before)
    book.gate().pass_time(waiting)
    return book.decide("disetujui")


def test_the_time_a_gate_is_open_is_waiting() -> None:
    assert times(finished(gate(10, 500).pass_time(5), 2)) == [(2, 1, 15, 500)]


def test_an_open_gate_waits_up_to_now() -> None:
    book = started(2).pass_time(10).gate().pass_time(500)
    assert [(t.work, t.waiting) for t in step_times(book.sop, book.events, book.now())] == [(10, 500)]


def test_a_gate_looked_at_by_resume_still_waits() -> None:
    book = started(2).gate().pass_time(100).tell("run_resumed").pass_time(100)
    assert times(finished(book.decide("disetujui"), 2)) == [(2, 1, 0, 200)]


def test_the_time_after_an_interrupt_until_it_is_resumed_is_waiting() -> None:
    book = started(1).pass_time(30).tell("run_interrupted", reason="why").pass_time(HOUR).tell("run_resumed")
    assert times(finished(book.pass_time(5), 1)) == [(1, 1, 35, HOUR)]


def test_the_time_from_the_last_event_before_a_crash_until_it_is_resumed_is_waiting() -> None:
    book = started(1).pass_time(HOUR).tell("run_resumed")
    assert times(finished(book.pass_time(5), 1)) == [(1, 1, 5, HOUR)]


def test_the_time_a_failed_row_lies_belongs_to_no_attempt() -> None:
    book = started(1).pass_time(30).tell("step_failed", step=1, attempt=1, reason="why").pass_time(HOUR)
    book = started(1, 2, book.tell("run_resumed")).pass_time(7)
    assert times(finished(book, 1, 2)) == [(1, 1, 30, 0), (1, 2, 7, 0)]


def test_across_a_reboot_the_wall_clock_is_counted() -> None:
    book = started(1).pass_time(30)
    book.boot, book.mono = "boot-2", 2.0
    assert times(finished(book.tell("run_resumed").pass_time(5), 1)) == [(1, 1, 5, 30)]


def test_within_a_boot_a_wall_clock_turned_back_is_not_noticed() -> None:
    book = started(1).pass_time(60)
    book.wall -= HOUR
    assert times(finished(book, 1)) == [(1, 1, 60, 0)]


def test_within_a_boot_a_wall_clock_turned_forward_is_not_noticed() -> None:
    book = started(1).pass_time(60)
    book.wall += HOUR
    assert times(finished(book, 1)) == [(1, 1, 60, 0)]


def test_across_a_reboot_a_wall_clock_turned_back_counts_as_no_time() -> None:
    book = started(1)
    book.wall -= HOUR
    book.boot, book.mono = "boot-2", 2.0
    assert times(finished(book.tell("run_resumed"), 1)) == [(1, 1, 0, 0)]


def test_a_row_that_spans_others_counts_beside_them() -> None:
    book = started(1).pass_time(10).tell("step_spanned", step=1, attempt=1, until=3, next=2)
    book = finished(started(2, 1, book).pass_time(20), 2)
    assert times(finished(book, 1)) == [(1, 1, 30, 0), (2, 1, 20, 0)]


def test_a_gate_within_a_span_is_waiting_for_both() -> None:
    book = started(1).tell("step_spanned", step=1, attempt=1, until=3, next=2)
    book = finished(started(2, 1, book).pass_time(10).gate().pass_time(500).decide("disetujui"), 2)
    assert times(book) == [(1, 1, 10, 500), (2, 1, 10, 500)]


def test_attempts_are_measured_apart() -> None:
    book = finished(started(1).pass_time(60), 1)
    assert times(finished(started(1, 2, book).pass_time(30), 1, 2)) == [(1, 1, 60, 0), (1, 2, 30, 0)]


def test_a_row_whose_decision_lapsed_counts_no_further() -> None:
    book = started(3).pass_time(60).tell("decision_lapsed", step=2, reason="expired")
    started(2, 2, book).pass_time(HOUR).tell("run_resumed")
    assert of(book, 3).total == 60


def test_a_row_whose_decision_lapsed_has_an_end() -> None:
    book = started(3).pass_time(60).tell("decision_lapsed", step=2, reason="expired")
    assert of(book, 3).finished == book.now()


# Against the standard time ----------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "over"), [(0, 0), (599, 0), (600, 0), (601, 1), (4200, 3600)])
def test_only_work_beyond_the_standard_time_is_over(seconds: float, over: float) -> None:
    assert of(finished(started(1).pass_time(seconds), 1), 1).over == over


def test_waiting_is_never_over() -> None:
    assert of(finished(gate(10, 99 * HOUR), 2), 2).over == 0


def test_a_row_without_a_standard_time_is_never_over() -> None:
    book = Book(sop(CONTOH.replace("    waktu: 10 Menit\n", "")))
    assert of(finished(started(1, 1, book.run()).pass_time(99 * HOUR), 1), 1).over == 0
