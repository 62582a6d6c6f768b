"""Work and waiting time of a row: gates, stops, reboots, clocks that jump, rows that overlap."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from fold import CONTOH, Book, sop

from runner.clock import format_utc
from runner.timing import StepTime, elapsed, step_times

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


ROW_2 = {"step": 2, "attempt": 1}


def open_gate(book: Book, second: str | None = None) -> Book:
    fields = {"actor": "kepala", "position": "Kepala Contoh", "second": second, "deadline": None}
    return book.tell("gate_opened", **ROW_2, **fields, outcomes=[], subject={}, nonce="n")


def gate(before: float, waiting: float) -> Book:
    """Return row 2 with a gate that opens after ``before`` seconds and is decided ``waiting`` later."""
    return open_gate(started(2).pass_time(before)).pass_time(waiting).decide("disetujui")


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


# On whom a row waits ----------------------------------------------------------------------------------


def waits(book: Book, step: int) -> list[tuple[str, str, float]]:
    return [(wait.on, wait.position, wait.seconds) for wait in of(book, step).waits]


def test_an_open_gate_waits_for_the_awaited_position() -> None:
    assert waits(finished(gate(10, 500), 2), 2) == [("official", "Kepala Contoh", 500)]


def test_of_two_who_decide_together_the_one_that_has_not_yet_is_waited_for() -> None:
    book = open_gate(started(2), "Analis Contoh").pass_time(10)
    book.tell("vote_made", **ROW_2, outcome="disetujui", person={"position": "Kepala Contoh"})
    book.pass_time(500).decide("disetujui")
    assert waits(book, 2) == [
        ("official", "Kepala Contoh, Analis Contoh", 10),
        ("official", "Analis Contoh", 500),
    ]


def test_a_run_left_after_the_decision_waits_for_the_operator() -> None:
    book = gate(10, 500).pass_time(HOUR).tell("run_resumed")
    assert waits(book, 2) == [("official", "Kepala Contoh", 500), ("operator", "", HOUR)]


def test_an_interrupted_run_waits_for_the_operator() -> None:
    book = started(1).tell("run_interrupted", reason="why").pass_time(HOUR).tell("run_resumed")
    assert waits(book, 1) == [("operator", "", HOUR)]


def test_a_row_beside_a_failed_one_waits_for_the_operator() -> None:
    book = started(1).tell("step_spanned", step=1, attempt=1, until=3, next=2)
    book = started(2, 1, book).tell("step_failed", step=2, attempt=1, reason="why").pass_time(HOUR)
    assert waits(book.tell("run_resumed"), 1) == [("operator", "", HOUR)]


def test_a_question_at_the_terminal_is_waited_for_the_operator_until_anything_happens() -> None:
    book = started(1).pass_time(5).tell("question_asked", about="condition", step=None, attempt=None)
    assert waits(book.pass_time(60).tell("run_interrupted", reason="why"), 1) == [("operator", "", 60)]


def test_the_same_cause_twice_is_told_once() -> None:
    book = started(1).tell("run_interrupted", reason="why").pass_time(100).tell("run_resumed").pass_time(1)
    book.tell("run_interrupted", reason="why").pass_time(10).tell("run_resumed")
    assert waits(book, 1) == [("operator", "", 110)]


def test_a_run_that_nobody_works_on_waits_for_the_operator_until_now() -> None:
    book = started(1).pass_time(60)
    told = [step_times(book.sop, book.events, book.now(), at_work=at_work)[0] for at_work in (True, False)]
    assert [(time.work, time.waiting) for time in told] == [(60, 0), (0, 60)]


def test_a_gate_that_nobody_works_on_still_waits_for_the_official() -> None:
    book = started(2).gate().pass_time(60)
    (time,) = step_times(book.sop, book.events, book.now(), at_work=False)
    assert [(wait.on, wait.seconds) for wait in time.waits] == [("official", 60)]


def await_window(book: Book, opens_in: float | None) -> Book:
    opens = None if opens_in is None else format_utc(book.now().at + timedelta(seconds=opens_in))
    return book.tell("window_awaited", step=1, attempt=1, part="1", opens=opens, reason="why")


def test_a_window_is_waited_for_until_it_opens_and_then_the_operator() -> None:
    book = await_window(started(1).pass_time(5), 100).pass_time(130).tell("run_resumed")
    book = finished(book.pass_time(20), 1)
    assert (of(book, 1).work, waits(book, 1)) == (25, [("window", "", 100), ("operator", "", 30)])


def test_a_window_that_is_looked_at_too_early_is_waited_for_all_the_time() -> None:
    book = await_window(started(1), 100).pass_time(40).tell("run_resumed")
    book = await_window(book, 60).pass_time(60).tell("run_resumed")
    assert waits(finished(book, 1), 1) == [("window", "", 100)]


def test_what_is_recorded_while_a_window_is_awaited_does_not_make_it_longer() -> None:
    book = await_window(started(1), 100).pass_time(40).tell("torn_line_dropped", bytes=1).pass_time(90)
    assert waits(book.tell("run_resumed"), 1) == [("window", "", 100), ("operator", "", 30)]


def test_a_window_that_opens_in_years_is_waited_for() -> None:
    book = await_window(started(1), None).pass_time(400 * 24 * HOUR).tell("run_resumed")
    assert waits(finished(book, 1), 1) == [("window", "", 400 * 24 * HOUR)]


def test_a_clock_that_was_set_does_not_change_how_long_the_window_was_waited_for() -> None:
    book = await_window(started(1), 100).pass_time(130)
    book.wall -= HOUR
    assert waits(book.tell("run_resumed"), 1) == [("window", "", 100), ("operator", "", 30)]


NOTE = {"reason": "why", "person": {}}


def test_a_note_ends_neither_work_nor_waiting() -> None:
    plain = started(1).pass_time(60).tell("run_interrupted", reason="why").pass_time(30).pass_time(30)
    noted = started(1).pass_time(20).tell("condition_told", condition="normal", **NOTE).pass_time(40)
    noted = noted.tell("run_interrupted", reason="why").pass_time(30)
    noted = noted.tell("reason_given", step=1, attempt=1, **NOTE).pass_time(30)
    assert times(finished(plain.tell("run_resumed"), 1)) == times(finished(noted.tell("run_resumed"), 1))


def test_a_note_after_a_crash_is_no_sign_of_work() -> None:
    book = started(1).pass_time(HOUR).tell("condition_told", condition="normal", **NOTE).pass_time(HOUR)
    assert times(finished(book.tell("run_resumed"), 1)) == [(1, 1, 0, 2 * HOUR)]


@pytest.mark.parametrize("seed", range(30))
def test_work_and_the_parts_of_waiting_are_the_total_to_the_millisecond(seed: int) -> None:
    seeded = random.Random(seed)  # noqa: S311 - a seeded test
    book = started(1).tell("step_spanned", step=1, attempt=1, until=3, next=2)
    book = started(2, 1, book)
    for _ in range(40):
        book.pass_time(seeded.uniform(0, 10 ** seeded.uniform(-6, 6)))
        name = seeded.choice(["run_interrupted", "run_resumed", "gate", "decided"])
        if name == "gate":
            book.gate()
        elif name == "decided" and book.state.gate:
            book.decide("disetujui")
        elif name in {"run_interrupted", "run_resumed"}:
            book.tell(name, reason="why")
    for time in step_times(book.sop, book.events, book.now()):
        parts = [round(1000 * part) for part in (time.work, *(wait.seconds for wait in time.waits))]
        assert sum(parts) == round(1000 * time.total), f"seed {seed}"
        assert min(parts) >= 0, f"seed {seed}"


# Rows beside each other ---------------------------------------------------------------------------------


def test_rows_beside_each_other_do_not_add_up_to_what_went_by() -> None:
    book = started(1).pass_time(10).tell("step_spanned", step=1, attempt=1, until=3, next=2)
    book = finished(finished(started(2, 1, book).pass_time(20), 2), 1)
    assert sum(time.total for time in step_times(book.sop, book.events)) == 50
    assert elapsed(book.events) == 30


def test_elapsed_time_goes_on_to_now() -> None:
    book = started(1).pass_time(7.5)
    assert (elapsed(book.events), elapsed(book.events, book.now())) == (0, 7.5)


# Clocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [-3650 * 24 * HOUR, -HOUR, HOUR, 3650 * 24 * HOUR])
def test_a_wall_clock_that_was_set_is_told_and_not_counted(by: float) -> None:
    book = started(1).pass_time(60)
    book.wall += by
    time = of(finished(book.pass_time(5), 1), 1)
    assert (time.total, time.shifts, time.reboots) == (65, (by,), 0)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_second_up_or_down_is_not_worth_a_word(by: float) -> None:
    book = started(1).pass_time(60)
    book.wall += by
    time = of(finished(book, 1), 1)
    assert (time.total, time.shifts) == (60, ())


def test_a_clock_set_while_another_row_ran_is_not_told_of_this_one() -> None:
    book = finished(started(1).pass_time(60), 1)
    book.wall -= HOUR
    book = finished(started(2, 1, book).pass_time(5), 2)
    assert [time.shifts for time in step_times(book.sop, book.events)] == [(), ()]


def test_a_reboot_is_told() -> None:
    book = started(1).pass_time(30)
    book.boot, book.mono = "boot-2", 2.0
    assert of(finished(book.tell("run_resumed"), 1), 1).reboots == 1


def test_time_in_which_the_machine_slept_is_counted_and_is_no_shift() -> None:
    """CLOCK_BOOTTIME goes on while the machine sleeps, as the wall clock does."""
    time = of(finished(started(1).pass_time(8 * HOUR), 1), 1)
    assert (time.total, time.shifts) == (8 * HOUR, ())


@pytest.mark.parametrize("seed", range(30))
def test_no_clock_makes_a_time_negative_or_a_row_begin_out_of_order(seed: int) -> None:
    seeded = random.Random(seed)  # noqa: S311 - a seeded test
    book = Book().run()
    measured = 0.0
    for attempt in range(1, 30):
        book.tell("step_started", step=1, attempt=attempt, parts=[])
        passed = seeded.uniform(0, 1000)
        book.pass_time(passed)
        measured += passed
        book.wall += seeded.choice([-1, 1]) * 10 ** seeded.uniform(0, 8.5)
        finished(book, 1, attempt)
    told = step_times(book.sop, book.events)
    assert [time.attempt for time in told] == list(range(1, 30))
    assert min(time.total for time in told) >= 0
    assert elapsed(book.events) == pytest.approx(measured, abs=0.1)


def test_a_row_whose_plan_drifted_counts_no_further() -> None:
    book = started(3).pass_time(60).tell("plan_drifted", to=2)
    started(2, 2, book).pass_time(HOUR).tell("run_resumed")
    assert (of(book, 3).total, of(book, 3).finished is None) == (60, False)


# Against the standard time ----------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "over"), [(0, 0), (599, 0), (600, 0), (601, 1), (4200, 3600)])
def test_only_work_beyond_the_standard_time_is_over(seconds: float, over: float) -> None:
    assert of(finished(started(1).pass_time(seconds), 1), 1).over == over


def test_waiting_is_never_over() -> None:
    assert of(finished(gate(10, 99 * HOUR), 2), 2).over == 0


def test_a_row_without_a_standard_time_is_never_over() -> None:
    book = Book(sop(CONTOH.replace("    waktu: 10 Menit\n", "")))
    assert of(finished(started(1, 1, book.run()).pass_time(99 * HOUR), 1), 1).over == 0


@pytest.mark.parametrize(("seconds", "deviation"), [(0, -600), (600, 0), (601.5, 1.5)])
def test_the_deviation_is_work_less_the_standard_time(seconds: float, deviation: float) -> None:
    assert of(finished(started(1).pass_time(seconds), 1), 1).deviation == deviation
