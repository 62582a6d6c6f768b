"""The flowchart of a SOP, cut into sheets: for each row of each sheet, what is to be drawn in it. Pure.

Lengths are millimetres. The height of a row is measured from its text beforehand (``runner.letters``): the
cuts are made here, and are the same on every machine. ``runner.routes`` says where the lines go, and this
module puts the labels where nothing else is. The template only prints what it is given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from runner import letters
from runner.display import display
from runner.language import _
from runner.office_settings import Paper
from runner.procedure import Mark, Procedure, Row
from runner.routes import (
    CLEAR,
    EDGE,
    END_HEIGHT,
    JOG,
    PITCH,
    PORT,
    Connector,
    Drawn,
    Heading,
    Lanes,
    Route,
    Shape,
    Sheet,
    far_entries,
    route,
)

_Marked = Mapping[int, Mapping[str, tuple[int, ...]]]
"""The numbers of notes, by row and column."""

SHEET_WIDTH, SHEET_HEIGHT = 261.0, 166.0
"""What a landscape A4 page leaves for the table, its caption and its head (``@page wide`` of print.css)."""
_WIDTHS: Mapping[Paper, float] = {"A4": SHEET_WIDTH, "F4": 294.0}
TEXT, LINE = 7.4, 3.15
PADDING, PADDING_ABOVE = 1.2, 1.0
LABEL, LABEL_LINE, LABEL_LINES = 6.0, 2.35, 3
HEAD, HEAD_LINE, HEAD_ABOVE, CAPTION = 7.0, 3.0, 5.3, 6.5
NOTE, NOTE_LINE = 6.4, 2.8
ABOVE, BELOW, SYMBOL_HEIGHT, DIAMOND_HEIGHT = 5.0, 3.0, 7.0, 8.4
_NARROW = 15.0
"""Millimetres; the positions above narrower lanes are written upwards."""
_FIXED = {"no": 8.0, "time": 14.0}
_SHARES = (
    {"activity": 0.36, "requirements": 0.23, "outputs": 0.23, "remark": 0.18},
    {"activity": 0.32, "requirements": 0.22, "outputs": 0.22, "remark": 0.24},
    {"activity": 0.30, "requirements": 0.20, "outputs": 0.20, "remark": 0.30},
    {"activity": 0.40, "requirements": 0.24, "outputs": 0.24, "remark": 0.12},
)
_TOTAL = {1: 60.0, 2: 80.0}
_LONGEST = SHEET_HEIGHT - 60.0
"""A row that is higher than this is continued on sheets of its own."""
_MARK = "000)"
_WORSE = 4.0
_NARROWEST = 18.6
"""What the word Keterangan needs."""
_OVER_END = END_HEIGHT / 2 + 0.3


class Box(NamedTuple):
    """A rectangle: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Tell whether two rectangles share more than an edge."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True)
class Label:
    """The name of an outcome beside its line."""

    lines: tuple[str, ...]
    box: Box
    anchor: str


@dataclass(frozen=True)
class Head:
    """An arrowhead: its point and where it points."""

    x: float
    y: float
    heading: Heading


@dataclass(frozen=True)
class Drawing:
    """What is drawn in the lanes of one row, from the row's top."""

    height: float
    lines: tuple[tuple[float, float, float, float], ...] = ()
    heads: tuple[Head, ...] = ()
    shapes: tuple[Shape, ...] = ()
    labels: tuple[Label, ...] = ()
    connectors: tuple[Connector, ...] = ()


@dataclass(frozen=True)
class Band:
    """A row of the printed table: a row of the SOP, the rest of a very long one, or a strip of connectors."""

    kind: str
    drawing: Drawing
    row: Row | None = None
    cells: Mapping[str, tuple[str, ...]] | None = None
    marks: Mapping[str, tuple[int, ...]] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A sheet of the flowchart as the template prints it."""

    number: int
    bands: tuple[Band, ...]
    sheet: Sheet | None


@dataclass(frozen=True)
class Flow:
    """The whole flowchart."""

    lanes: Lanes
    lane_widths: tuple[float, ...]
    columns: Mapping[str, float]
    head_height: float
    heads: tuple[tuple[str, ...], ...]
    upright: bool
    pages: tuple[Page, ...]
    shortened: tuple[tuple[int, str], ...]
    """Outcomes whose name did not fit beside their line: row and name."""


@dataclass(frozen=True)
class _Measured:
    row: Row
    drawn: Drawn
    parts: tuple[Mapping[str, tuple[str, ...]], ...]
    labels: tuple[tuple[str, ...], ...]


def flow_of(procedure: Procedure, marks: Iterable[Mark] = (), paper: Paper = "A4") -> Flow:
    """Return the flowchart, laid out for a paper and cut into sheets."""
    count = len(procedure.actors)
    lanes = _lanes(count)
    upright, heads, head_height = _heads(procedure.actors, lanes.width)
    marked = _marked(marks)
    tried = [
        (columns, _measure(procedure, lanes, columns, marked))
        for columns in map(partial(_columns, _WIDTHS[paper] - lanes.total), _SHARES)
    ]
    columns, measured = min(tried, key=lambda each: sum(m.drawn.height * len(m.parts) for m in each[1]))
    room = SHEET_HEIGHT - CAPTION - HEAD_ABOVE - head_height
    sheets = list(_cut(lanes, measured, room))
    pages = tuple(_Chart(measured, sheets, lanes.total, marked).pages())
    return Flow(
        lanes=lanes,
        lane_widths=tuple(round(b - a, 3) for a, b in pairwise(lanes.borders)),
        columns=columns,
        head_height=head_height,
        heads=heads,
        upright=upright,
        pages=pages,
        shortened=tuple(_shortened(measured)),
    )


def _lanes(count: int) -> Lanes:
    plain = Lanes(count, _TOTAL.get(count, min(82.0 + 4 * (count - 1), 118.0)) / count)
    # Beside the outermost symbols there is always room for three tracks.
    reach = (plain.width - plain.symbol) / 2 - CLEAR
    return replace(plain, rail=round(max(0.0, EDGE + 2 * PITCH - reach), 2))


def _columns(beside_lanes: float, shares: Mapping[str, float]) -> dict[str, float]:
    rest = beside_lanes - sum(_FIXED.values())
    found = {**_FIXED, **{name: round(rest * share, 2) for name, share in shares.items()}}
    missing = max(0.0, _NARROWEST - found["remark"])
    return {**found, "remark": found["remark"] + missing, "activity": found["activity"] - missing}


def _heads(actors: Sequence[str], lane: float) -> tuple[bool, tuple[tuple[str, ...], ...], float]:
    """Return whether positions are written upwards, their lines, and how high that part of the head is."""
    names = [display(actor) for actor in actors]
    if lane >= _NARROW:
        broken = [_stripped(letters.lines(name, HEAD * letters.BOLD, lane - 2 * PADDING)) for name in names]
        return False, tuple(broken), max(max(map(len, broken)) * HEAD_LINE + 2 * PADDING_ABOVE, 7.0)
    most = max(1, int((lane - 1) / HEAD_LINE))
    height = 16.0
    while height < SHEET_HEIGHT / 3:
        if all(len(letters.lines(name, HEAD * letters.BOLD, height - 2)) <= most for name in names):
            break
        height += 1
    broken = [_stripped(letters.lines(name, HEAD * letters.BOLD, height - 2)) for name in names]
    return True, tuple(broken), height


def _stripped(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in lines)


def _marked(marks: Iterable[Mark]) -> dict[int, dict[str, tuple[int, ...]]]:
    found: dict[int, dict[str, tuple[int, ...]]] = {}
    for mark in marks:
        if mark.row is not None:
            cells = found.setdefault(mark.row, {})
            cells[mark.column] = (*cells.get(mark.column, ()), mark.number)
    return found


# How high each row is --------------------------------------------------------------------------------------


def _measure(
    procedure: Procedure,
    lanes: Lanes,
    columns: Mapping[str, float],
    marked: _Marked,
) -> list[_Measured]:
    index = {row.no: i for i, row in enumerate(procedure.rows)}
    plain = []
    for i, row in enumerate(procedure.rows):
        targets = tuple(None if e.to is None else index[e.to] for e in row.exits)
        labels = tuple(_label(display(e.label), lanes) for e in row.exits)
        widths = tuple(_label_width(label) for label in labels)
        drawn = Drawn(i, row.lanes, row.symbol, 0.0, 0.0, 0.0, row.exits, targets, widths)
        plain.append((row, drawn, labels))
    entries = far_entries(drawn for _, drawn, _ in plain)
    return [
        _with_heights(row, drawn, labels, columns, marked.get(row.no, {}), entered=drawn.index in entries)
        for row, drawn, labels in plain
    ]


def _label(text: str, lanes: Lanes) -> tuple[str, ...]:
    room = max(9.0, min(20.0, lanes.width * 0.75))
    room = max(room, min(20.0, letters.longest_word(text, LABEL)))
    lines = letters.lines(text, LABEL, room)
    if len(lines) > LABEL_LINES:
        lines = [*lines[: LABEL_LINES - 1], f"{lines[LABEL_LINES - 1].rstrip()[:-1]}\u2026"]
    return _stripped(lines)


def _label_width(lines: Sequence[str]) -> float:
    return max((letters.width(line, LABEL) for line in lines), default=0.0)


def _with_heights(
    row: Row,
    drawn: Drawn,
    labels: tuple[tuple[str, ...], ...],
    columns: Mapping[str, float],
    marks: Mapping[str, tuple[int, ...]],
    *,
    entered: bool,
) -> _Measured:
    beside = len(drawn.far) + entered + (drawn.end is not None and drawn.down is not None)
    least = DIAMOND_HEIGHT if row.symbol == "decision" else SYMBOL_HEIGHT
    symbol = max(least, PORT * (math.ceil(beside / 2) - 1) + 4.0)
    most = max((len(labels[i]) for i in drawn.far), default=0)
    # A label beside a line stands above or below it; half of the symbol's height is there for it.
    label = most * LABEL_LINE + 1.0 + (PORT / 2 if beside > 1 else 0.0) - symbol / 2
    above = max(ABOVE, label + JOG + 0.5)
    below = max(BELOW, label + 0.5)
    if drawn.end is not None and drawn.down is not None:
        # Its capsule stands beside the symbol: the label goes over or under that, too.
        label = (
            len(labels[drawn.end]) * LABEL_LINE + _OVER_END + (PORT / 2 if beside > 1 else 0.0) - symbol / 2
        )
        above, below = max(above, label + JOG + 0.5), max(below, label + 0.5)
    if drawn.down is not None:
        below = max(below, len(labels[drawn.down]) * LABEL_LINE + 1.2 if labels[drawn.down] else BELOW)
    if drawn.end is not None and drawn.down is None:
        below = max(below, len(labels[drawn.end]) * LABEL_LINE + 2.6 + END_HEIGHT + 1.6)
    elif drawn.end is not None:
        below = max(below, END_HEIGHT + 5.0 if len(row.lanes) > 1 else below)
    cells = {name: _broken(row, name, columns[name], marks.get(name, ())) for name in columns}
    text = max(len(lines) for lines in cells.values()) * LINE + 2 * PADDING_ABOVE
    height = max(above + symbol + below, text)
    parts: tuple[Mapping[str, tuple[str, ...]], ...] = ({name: _texts(row, name) for name in columns},)
    if height > _LONGEST:
        height = max(above + symbol + below, _LONGEST)
        parts = tuple(_parts(cells, int((height - 2 * PADDING_ABOVE) / LINE)))
    height = math.ceil(height * 2) / 2
    above += (height - above - symbol - below) / 2
    return _Measured(row, replace(drawn, symbol_height=symbol, height=height, above=above), parts, labels)


def _texts(row: Row, column: str) -> tuple[str, ...]:
    """Return the paragraphs of a cell; two or more are numbered."""
    value = {
        "no": str(row.no),
        "activity": row.activity,
        "requirements": row.requirements,
        "time": row.time,
        "outputs": row.outputs,
        "remark": row.remark,
    }[column]
    if isinstance(value, str):
        return (display(value),) if value else ()
    if len(value) == 1:
        return (display(value[0]),)
    return tuple(f"{number}. {display(text)}" for number, text in enumerate(value, start=1))


def _broken(row: Row, column: str, width: float, marks: Sequence[int]) -> list[tuple[int, str]]:
    """Return the lines of a cell, each with the number of its paragraph."""
    texts = list(_texts(row, column))
    if marks:
        texts[-1:] = [" ".join([*texts[-1:], _MARK * len(marks)])]
    room = (width - 2 * PADDING) * 0.985
    return [(i, line) for i, text in enumerate(texts) for line in letters.lines(text, TEXT, room)]


def _parts(cells: Mapping[str, list[tuple[int, str]]], most: int) -> Iterator[Mapping[str, tuple[str, ...]]]:
    """Yield the text of a row in parts of at most so many lines."""
    for begin in range(0, max(len(lines) for lines in cells.values()), most):
        part = {}
        for name, lines in cells.items():
            texts: dict[int, str] = {}
            for paragraph, line in lines[begin : begin + most]:
                texts[paragraph] = texts.get(paragraph, "") + line
            part[name] = tuple(text.removesuffix(_MARK).strip() for text in texts.values())
        yield part


# Which rows are on which sheet ------------------------------------------------------------------------------


def _cut(lanes: Lanes, measured: Sequence[_Measured], room: float) -> Iterator[Sheet]:
    rows = [each.drawn for each in measured]
    first = 0
    while first < len(rows):
        last = first
        height = rows[first].height
        while (
            last + 1 < len(rows) and height + rows[last + 1].height <= room and not _goes_on(measured[last])
        ):
            last += 1
            height += rows[last].height
        if last > first and _goes_on(measured[last]):
            last -= 1
        sheet = route(lanes, rows, first, last)
        while (sheet.bottom > room or not sheet.complete) and last > first:
            last -= 1
            sheet = route(lanes, rows, first, last)
        yield sheet
        first = last + 1


def _goes_on(each: _Measured) -> bool:
    return len(each.parts) > 1


# What is drawn in each row ----------------------------------------------------------------------------------


class _Chart:
    """Turns sheets into pages: numbers the connectors, and slices each sheet into its rows."""

    def __init__(
        self, measured: Sequence[_Measured], sheets: Sequence[Sheet], total: float, marked: _Marked
    ) -> None:
        self.measured, self.sheets, self.total, self.marked = measured, sheets, total, marked
        self.numbers: dict[tuple[str, int], int] = {}
        self.page_of: dict[int, int] = {}
        page = 1
        for sheet in sheets:
            for connector in sorted(sheet.connectors, key=lambda c: (not c.top, c.x)):
                self.numbers.setdefault(connector.key, len(self.numbers) + 1)
            self.page_of |= dict.fromkeys(range(sheet.first, sheet.last + 1), page)
            page += len(measured[sheet.last].parts)

    def pages(self) -> Iterator[Page]:
        for plain in self.sheets:
            numbered = tuple(replace(c, number=self.numbers[c.key]) for c in plain.connectors)
            sheet = replace(plain, connectors=numbered)
            page = self.page_of[sheet.first]
            yield Page(page, tuple(self._bands(sheet)), sheet)
            last = self.measured[sheet.last]
            for more, part in enumerate(last.parts[1:], start=1):
                yield Page(page + more, (Band("rest", Drawing(0.0), last.row, part),), None)

    def _bands(self, sheet: Sheet) -> Iterator[Band]:
        if sheet.strip_above:
            yield self._strip(sheet, 0.0, sheet.strip_above)
        for row, top in zip(range(sheet.first, sheet.last + 1), sheet.tops, strict=True):
            each = self.measured[row]
            drawing = _sliced(sheet, top, top + each.drawn.height, row)
            labels = tuple(_labels(self.total, each, sheet, drawing, top))
            marks = self.marked.get(each.row.no, {})
            yield Band("row", replace(drawing, labels=labels), each.row, each.parts[0], marks)
        if sheet.strip_below:
            yield self._strip(sheet, sheet.bottom - sheet.strip_below, sheet.bottom)

    def _strip(self, sheet: Sheet, begin: float, end: float) -> Band:
        mine = sorted((c for c in sheet.connectors if begin < c.y < end), key=lambda c: c.number)
        connectors = tuple(replace(c, y=round(c.y - begin, 3)) for c in mine)
        drawing = replace(_sliced(sheet, begin, end, None), connectors=connectors)
        return Band("strip", drawing, notes=tuple(map(self._note, mine)))

    def _note(self, connector: Connector) -> str:
        rows = ", ".join(str(self.measured[row].row.no) for row in connector.rows)
        pages = ", ".join(dict.fromkeys(str(self.page_of[row]) for row in connector.rows))
        told = _("{number} ke langkah {rows} (lembar {pages})")
        if not connector.out:
            told = _("{number} dari langkah {rows} (lembar {pages})")
        return told.format(number=connector.number, rows=rows, pages=pages)


def _sliced(sheet: Sheet, top: float, bottom: float, row: int | None) -> Drawing:
    """Return what of a sheet's lines and shapes lies between two heights, measured from the upper one."""
    lines: list[tuple[float, float, float, float]] = []
    heads = []
    for each in (*sheet.joints, *sheet.routes):
        for (x1, y1), (x2, y2) in pairwise(each.points):
            upper, lower = max(min(y1, y2), top), min(max(y1, y2), bottom)
            if upper < lower or (y1 == y2 and top <= y1 < bottom):
                lines.append((round(x1, 3), round(upper - top, 3), round(x2, 3), round(lower - top, 3)))
        if each.head and top < each.points[-1][1] <= bottom:
            heads.append(_head(each, top))
    shapes = tuple(replace(s, y=round(s.y - top, 3)) for s in sheet.shapes if s.row == row)
    return Drawing(bottom - top, tuple(dict.fromkeys(lines)), tuple(dict.fromkeys(heads)), shapes)


def _head(each: Route, top: float) -> Head:
    (x1, y1), (x2, y2) = each.points[-2:]
    if x1 == x2:
        heading: Heading = "down" if y2 > y1 else "up"
    else:
        heading = "right" if x2 > x1 else "left"
    return Head(round(x2, 3), round(y2 - top, 3), heading)


# Labels -----------------------------------------------------------------------------------------------


def _labels(total: float, each: _Measured, sheet: Sheet, drawing: Drawing, top: float) -> Iterator[Label]:
    """Yield the names of a row's exits, each where it covers nothing if there is such a place."""
    covered = [(1.0, _around(*line)) for line in drawing.lines]
    covered += [(_WORSE, _box_of(shape)) for shape in drawing.shapes]
    inside = Box(0.0, 0.0, total, drawing.height)
    for route_ in sheet.routes:
        if route_.source != each.drawn.index or route_.exit is None or not each.labels[route_.exit]:
            continue
        lines = each.labels[route_.exit]
        size = _label_width(lines) + 0.6, len(lines) * LABEL_LINE
        places = list(_places(route_, drawing, top, size))
        best = min(range(len(places)), key=lambda i: (_trouble(places[i][0], covered, inside), i))
        box, anchor = places[best]
        covered.append((_WORSE, box))
        yield Label(lines, Box(*(round(value, 3) for value in box)), anchor)


def _places(
    route_: Route, drawing: Drawing, top: float, size: tuple[float, float]
) -> Iterator[tuple[Box, str]]:
    """Yield where a label may stand beside the beginning of a line, the best first."""
    (x1, y1), (x2, y2) = route_.points[:2]
    y1, y2 = y1 - top, y2 - top
    width, height = size
    if x1 == x2:
        for offset in (0.5, 1.2):
            for left, anchor in ((x1 + 0.7, "start"), (x1 - 0.7 - width, "end")):
                yield Box(left, y1 + offset, left + width, y1 + offset + height), anchor
        yield Box(x1 - width / 2, y1 + 0.3, x1 + width / 2, y1 + 0.3 + height), "middle"
        return
    right = x2 > x1
    begin = _outline(drawing, right=right)
    for near in (begin + (0.4 if right else -0.4), x2 + (0.7 if right else -0.7)):
        left = near if right else near - width
        anchor = "start" if right else "end"
        for away in (0.4, 0.9, _OVER_END, 3.6):
            for upper in (y1 - away - height, y1 + away):
                yield Box(left, upper, left + width, upper + height), anchor
        if near != begin:
            yield Box(left, y1 - height / 2, left + width, y1 + height / 2), anchor
    # Where there is no free place the label interrupts the line.
    left = begin + 1.5 if right else begin - 1.5 - width
    yield Box(left, y1 - height / 2, left + width, y1 + height / 2), "middle"


def _outline(drawing: Drawing, *, right: bool) -> float:
    """Return how far a row's symbols reach to a side."""
    own = [shape for shape in drawing.shapes if shape.kind != "end"]
    if right:
        return max(shape.x + shape.width / 2 for shape in own)
    return min(shape.x - shape.width / 2 for shape in own)


def _around(x1: float, y1: float, x2: float, y2: float) -> Box:
    return Box(min(x1, x2) - 0.35, min(y1, y2) - 0.35, max(x1, x2) + 0.35, max(y1, y2) + 0.35)


def _box_of(shape: Shape) -> Box:
    across, along = shape.width / 2, shape.height / 2
    return Box(shape.x - across, shape.y - along, shape.x + across, shape.y + along)


def _trouble(box: Box, covered: Iterable[tuple[float, Box]], inside: Box) -> float:
    """Return how bad a place is: a line that a label interrupts is better than a symbol it covers."""
    outside = max(0.0, inside.left - box.left) + max(0.0, box.right - inside.right)
    outside += max(0.0, inside.top - box.top) + max(0.0, box.bottom - inside.bottom)
    return sum(weight for weight, other in covered if box.meets(other)) + 2 * _WORSE * (outside > 0)


def _shortened(measured: Iterable[_Measured]) -> Iterator[tuple[int, str]]:
    for each in measured:
        for exit_, label in zip(each.row.exits, each.labels, strict=True):
            if label and label[-1].endswith("\u2026") and not exit_.label.endswith("\u2026"):
                yield each.row.no, exit_.label
