"""The flowchart's geometry, for the SOPs there are and any other: every line once, none through a symbol."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from runner.flow import CAPTION, HEAD_ABOVE, LABEL_LINE, SHEET_HEIGHT, SHEET_WIDTH, Box, Flow, Page, flow_of
from runner.procedure import Exit, Mark, Procedure, Row, marks_of, procedure_of
from runner.routes import CONNECTOR, CONNECTOR_HEIGHT, Route, Sheet
from runner.sop import parse_sop

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "sops").glob("*.yml"))
NEAR = 0.02


@pytest.fixture(name="drawn", params=FILES, ids=lambda file: file.stem)
def _drawn(request: pytest.FixtureRequest) -> tuple[Procedure, Flow]:
    sop = parse_sop(request.param.read_text(encoding="utf-8"), request.param.name)
    procedure = procedure_of(sop)
    return procedure, flow_of(procedure, marks_of(sop))


# Any SOP ------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["sesuai", "belum", "YA", "TIDAK", "tidak dapat diperbaiki", "dikembalikan", "x" * 40]
)
TEXTS = st.sampled_from(["Memeriksa", "Melakukan pengecekan pada software/sistem operasi " * 3, "kata " * 70])


@st.composite
def procedures(draw: st.DrawFn) -> Procedure:
    actors = draw(st.integers(1, 10))
    count = draw(st.integers(3, 30) | st.just(60))
    rows = [draw(rows_of(number, count, actors)) for number in range(1, count + 1)]
    return Procedure(
        actors=tuple(f"Pelaksana ke-{i} Bidang Informatika" for i in range(actors)), rows=tuple(rows)
    )


@st.composite
def rows_of(draw: st.DrawFn, number: int, count: int, actors: int) -> Row:
    lanes = draw(st.lists(st.integers(0, actors - 1), min_size=1, max_size=2, unique=True))
    following = number + 1 if number < count else None
    exits = [Exit(label="", to=following)]
    if draw(st.integers(0, 3)) == 0:
        places = st.integers(max(1, number - 6), min(count, number + 12)) | st.none() | st.just(following)
        targets = draw(st.lists(places, min_size=2, max_size=3, unique=True))
        exits = [Exit(label=draw(WORDS), to=target) for target in targets]
    elif draw(st.integers(0, 5)) == 0:
        exits = [Exit(label="", to=draw(st.integers(1, count)))]
    decision = len(exits) > 1
    plain = "terminator" if exits[0].to is None or number == 1 else "process"
    return Row(
        no=number,
        activity=draw(TEXTS),
        lanes=tuple(lanes),
        symbol="decision" if decision else plain,
        requirements=draw(st.lists(TEXTS, max_size=3).map(tuple)),
        time="15 Menit",
        outputs=("Laporan",),
        remark="",
        exits=tuple(exits),
    )


# What holds ---------------------------------------------------------------------------------------------


def sheets(flow: Flow) -> list[Sheet]:
    return [page.sheet for page in flow.pages if page.sheet]


def goal(procedure: Procedure, route: Route) -> object:
    """Return the row a line leads to in the end, wherever it is cut."""
    if route.source is None or route.exit is None:
        return procedure.rows[route.target or 0].no
    to = procedure.rows[route.source].exits[route.exit].to
    return to if to is not None else ("end", route.source)


def segments(route: Route) -> Iterator[tuple[float, float, float, float]]:
    for (x1, y1), (x2, y2) in itertools.pairwise(route.points):
        yield min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def every_exit_is_drawn_once_with_one_head(procedure: Procedure, flow: Flow) -> None:
    wanted = {
        (index, number)
        for index, row in enumerate(procedure.rows)
        for number, exit_ in enumerate(row.exits)
        if not (exit_.to is None and row.symbol == "terminator")
    }
    found = Counter((r.source, r.exit) for s in sheets(flow) for r in s.routes if r.source is not None)
    assert found == Counter(dict.fromkeys(wanted, 1))
    assert all(route.head for sheet in sheets(flow) for route in sheet.routes)


def every_line_ends_where_it_should(flow: Flow) -> None:
    for sheet in sheets(flow):
        for route in sheet.routes:
            x, y = route.points[-1]
            ends = [s for s in sheet.shapes if s.row == route.target and s.kind != "end"]
            ends += [s for s in sheet.shapes if s.kind == "end" and s.row == route.source]
            touched = [
                s for s in ends if abs(x - s.x) <= s.width / 2 + NEAR and abs(y - s.y) <= s.height / 2 + NEAR
            ]
            tips = [
                c
                for c in sheet.connectors
                if c.out and abs(c.x - x) < NEAR and abs(abs(c.y - y) - CONNECTOR_HEIGHT / 2) < NEAR
            ]
            assert touched or (route.target is None and tips), route


def lines_to_different_rows_never_lie_on_each_other(procedure: Procedure, flow: Flow) -> None:
    for sheet in sheets(flow):
        drawn = [(goal(procedure, r), box) for r in sheet.routes for box in segments(r)]
        drawn += [(("joint", r.source), box) for r in sheet.joints for box in segments(r)]
        for (one, a), (other, b) in itertools.combinations(drawn, 2):
            upright = a[0] == a[2] and b[0] == b[2] and abs(a[0] - b[0]) < 0.3
            level = a[1] == a[3] and b[1] == b[3] and abs(a[1] - b[1]) < 0.3
            along = (a[1] < b[3] - NEAR and b[1] < a[3] - NEAR) if upright else False
            across = (a[0] < b[2] - NEAR and b[0] < a[2] - NEAR) if level else False
            assert one == other or not (along or across), (one, other, a, b)


def no_line_runs_through_a_symbol(flow: Flow) -> None:
    for sheet in sheets(flow):
        for shape in sheet.shapes:
            # The corners of a diamond and a capsule are empty: what matters is the cross inside.
            half = (shape.width / 2 - 0.2) if shape.kind == "process" else 0.3
            inner = Box(
                shape.x - half,
                shape.y - shape.height / 2 + 0.2,
                shape.x + half,
                shape.y + shape.height / 2 - 0.2,
            )
            for route in (*sheet.routes, *sheet.joints):
                for a in segments(route):
                    assert not Box(*a).meets(inner), (shape, route)


def every_connector_has_its_other_half(flow: Flow) -> None:
    where: dict[int, set[bool]] = {}
    for sheet in sheets(flow):
        for connector in sheet.connectors:
            where.setdefault(connector.number, set()).add(connector.out)
        numbers = [c.number for c in sheet.connectors]
        assert len(numbers) == len(set(numbers))
        for one, other in itertools.combinations(sheet.connectors, 2):
            assert abs(one.x - other.x) >= CONNECTOR - 0.01 or abs(one.y - other.y) >= CONNECTOR_HEIGHT - 0.01
    assert all(halves == {True, False} for halves in where.values()), where
    assert sorted(where) == list(range(1, len(where) + 1))


def sheets_hold_every_row_in_order_and_fit(procedure: Procedure, flow: Flow) -> None:
    rows = [row for sheet in sheets(flow) for row in range(sheet.first, sheet.last + 1)]
    assert rows == list(range(len(procedure.rows)))
    room = SHEET_HEIGHT - CAPTION - HEAD_ABOVE - flow.head_height
    assert all(sheet.bottom <= room for sheet in sheets(flow))
    assert [page.number for page in flow.pages] == list(range(1, len(flow.pages) + 1))
    columns = sum(flow.columns.values()) + flow.lanes.total
    assert columns == pytest.approx(SHEET_WIDTH, abs=0.05)


def everything_holds(procedure: Procedure, flow: Flow) -> None:
    every_exit_is_drawn_once_with_one_head(procedure, flow)
    every_line_ends_where_it_should(flow)
    lines_to_different_rows_never_lie_on_each_other(procedure, flow)
    no_line_runs_through_a_symbol(flow)
    every_connector_has_its_other_half(flow)
    sheets_hold_every_row_in_order_and_fit(procedure, flow)


def test_the_geometry_of_the_sops_there_are(drawn: tuple[Procedure, Flow]) -> None:
    everything_holds(*drawn)


# Not shrunk: a smaller SOP is seldom easier to see, and it takes minutes.
@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(procedures())
def test_the_geometry_of_any_sop(procedure: Procedure) -> None:
    everything_holds(procedure, flow_of(procedure))


def obstacles(page: Page) -> Iterator[tuple[Box, list[Box]]]:
    """Yield each label with everything else that is drawn in its row."""
    for band in page.bands:
        boxes = [
            Box(s.x - s.width / 2, s.y - s.height / 2, s.x + s.width / 2, s.y + s.height / 2)
            for s in band.drawing.shapes
        ]
        lines = [Box(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in band.drawing.lines]
        labels = [label.box for label in band.drawing.labels]
        for i, label in enumerate(labels):
            yield label, [*boxes, *lines, *labels[:i], *labels[i + 1 :]]


def test_no_label_lies_on_anything(drawn: tuple[Procedure, Flow]) -> None:
    _, flow = drawn
    for page in flow.pages:
        for label, others in obstacles(page):
            assert not [other for other in others if label.meets(other)]


def test_every_outcome_stands_in_its_row(drawn: tuple[Procedure, Flow]) -> None:
    procedure, flow = drawn
    shown = {
        band.row.no: sorted(" ".join(label.lines) for label in band.drawing.labels)
        for page in flow.pages
        for band in page.bands
        if band.row
    }
    assert shown == {row.no: sorted(e.label for e in row.exits if e.label) for row in procedure.rows}


# Some SOPs ----------------------------------------------------------------------------------------------


def row(
    no: int, *exits: tuple[str, int | None], lanes: tuple[int, ...] = (0,), activity: str = "Memeriksa"
) -> Row:
    symbol = "decision" if len(exits) > 1 else "terminator" if no == 1 or exits[0][1] is None else "process"
    return Row(
        no=no,
        activity=activity,
        lanes=lanes,
        symbol=symbol,
        requirements=(),
        time="",
        outputs=(),
        remark="",
        exits=tuple(Exit(label=label, to=to) for label, to in exits),
    )


def test_a_row_that_leads_to_itself_is_drawn() -> None:
    procedure = Procedure(
        actors=("A", "B"), rows=(row(1, ("", 2)), row(2, ("ulang", 2), ("lanjut", 3)), row(3, ("", None)))
    )
    everything_holds(procedure, flow_of(procedure))


def test_a_decision_that_may_end_the_procedure_has_a_capsule_of_its_own() -> None:
    procedure = Procedure(
        actors=("A", "B"), rows=(row(1, ("", 2)), row(2, ("ya", 3), ("tidak", None)), row(3, ("", None)))
    )
    (sheet,) = sheets(flow_of(procedure))
    (end,) = [shape for shape in sheet.shapes if shape.kind == "end"]
    assert (end.row, end.x) == (1, flow_of(procedure).lanes.middle(1))


def test_a_text_longer_than_a_sheet_goes_on_on_the_next_and_none_of_it_is_lost() -> None:
    text = " ".join(f"kata{number}" for number in range(4000))
    procedure = Procedure(
        actors=("A",), rows=(row(1, ("", 2)), row(2, ("", 3), activity=text), row(3, ("", None)))
    )
    flow = flow_of(procedure)
    everything_holds(procedure, flow)
    told = [
        " ".join(b.cells["activity"])
        for p in flow.pages
        for b in p.bands
        if b.row and b.row.no == 2 and b.cells
    ]
    assert len(told) > 2
    assert text.startswith(" ".join(told)[:4000])


def test_a_mark_makes_room_for_itself() -> None:
    procedure = Procedure(actors=("A",), rows=(row(1, ("", 2)), row(2, ("", None))))
    marks = [Mark(number=n, row=1, column="activity", text="?") for n in range(1, 60)]
    plain, marked = (flow_of(procedure, m).pages[0].bands[0] for m in ([], marks))
    assert marked.drawing.height > plain.drawing.height + LABEL_LINE
    assert marked.marks == {"activity": tuple(range(1, 60))}


def test_a_name_that_does_not_fit_beside_its_line_is_told_elsewhere() -> None:
    long = "tidak dapat diperbaiki oleh siapa pun di dalam kantor ini karena suku cadang tidak ada"
    procedure = Procedure(
        actors=("A", "B"), rows=(row(1, ("", 2)), row(2, (long, 1), ("ya", 3)), row(3, ("", None)))
    )
    assert flow_of(procedure).shortened == ((2, long),)


def test_the_same_procedure_is_laid_out_the_same(drawn: tuple[Procedure, Flow]) -> None:
    procedure, _ = drawn
    assert flow_of(procedure) == flow_of(Procedure.model_validate(procedure.model_dump()))
