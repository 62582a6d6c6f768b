"""Where each line of a flowchart goes on one sheet. Pure geometry, in millimetres from the sheet's top left.

A row has one symbol in the middle of its lane, or two that are joined. The rules that keep a sheet readable:

- a line to the row below leaves at the bottom, turns in the strip above the next symbol, and enters on top;
- every other line leaves at a side, goes up or down a *track* between two lanes, and enters at a side;
- lines to the same row share one track and one arrowhead; lines to different rows never lie on each other;
- a line to or from another sheet ends at the sheet's edge in a numbered connector.

So no line runs through a symbol: rows have none beside their own, and tracks are clear of all lanes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from runner.procedure import Exit, Symbol

Point = tuple[float, float]
Side = Literal["left", "right"]
Heading = Literal["up", "down", "left", "right"]

JOG = 2.0
"""How far below the top of a row a line from the row above turns."""
PITCH = 2.6
"""Distance of two tracks: a connector fits between the neighbours of its line."""
CLEAR = 1.9
"""Distance of a track from the symbols beside it: room for an arrowhead."""
PORT = 3.4
"""Distance of two lines at one side of a symbol: room for a label."""
CONNECTOR, CONNECTOR_HEIGHT = 4.4, 5.0
END_WIDTH, END_HEIGHT = 10.0, 4.2
LEVEL = CONNECTOR_HEIGHT + 0.8
EDGE = 1.6
"""What stays free between the outermost track and the edge of the lanes; also above and below connectors."""
_END_BESIDE = 13.0
_CROSSING, _SAME_SIDE, _CROWDED, _LABEL, _AWAY = 3.0, 4.0, 20.0, 5.0, 0.15


@dataclass(frozen=True)
class Lanes:
    """The columns of the actors: how many and how wide; the outermost are wider by a rail for tracks."""

    count: int
    width: float
    rail: float = 0.0

    @property
    def total(self) -> float:
        """Return the width of all lanes."""
        return self.count * self.width + 2 * self.rail

    @property
    def borders(self) -> list[float]:
        """Return where one lane ends and the next begins, with both edges."""
        return [0.0, *(self.rail + i * self.width for i in range(1, self.count)), self.total]

    @property
    def symbol(self) -> float:
        """Return the width of a symbol: less than half of the lane, the rest is for tracks."""
        return max(min(6.0, self.width * 0.6), min(15.0, self.width * 0.46))

    def middle(self, lane: int) -> float:
        """Return the middle of a lane."""
        return self.rail + (lane + 0.5) * self.width

    def tracks(self, pitch: float) -> list[float]:
        """Return where tracks may be, from left to right; none lies on the border of two lanes."""
        reach = (self.width - self.symbol) / 2 - CLEAR
        if self.count == 1:
            # A narrow band beside the only symbol is left to what ends there.
            outer = _steps(EDGE, reach + self.rail - _END_BESIDE, pitch)
        else:
            outer = _steps(EDGE, reach + self.rail, pitch)
        found = [*outer, *(self.total - x for x in outer)]
        for border in self.borders[1:-1]:
            found += [border + sign * step for step in _steps(pitch / 2, reach, pitch) for sign in (-1, 1)]
        return sorted(round(x, 3) for x in found)


def _steps(first: float, last: float, step: float) -> list[float]:
    return [first + step * i for i in range(int((last - first) / step + 1e-9) + 1)] if last >= first else []


@dataclass(frozen=True)
class Drawn:
    """A row as it is to be drawn: its symbol's lanes, kind and height, and what leads out of it."""

    index: int
    lanes: tuple[int, ...]
    symbol: Symbol
    symbol_height: float
    height: float
    above: float
    """Room between the top of the row and that of the symbol."""
    exits: tuple[Exit, ...]
    targets: tuple[int | None, ...]
    """The index of the row that each exit leads to; None for the end."""
    label_widths: tuple[float, ...]

    @property
    def down(self) -> int | None:
        """Return which exit leads straight down to the next row, if one does."""
        return next((i for i, target in enumerate(self.targets) if target == self.index + 1), None)

    @property
    def end(self) -> int | None:
        """Return which exit leads to an end that has to be drawn: that of a decision."""
        if self.symbol == "terminator":
            return None
        return next((i for i, target in enumerate(self.targets) if target is None), None)

    @property
    def far(self) -> list[int]:
        """Return the exits that go along a track."""
        return [i for i, target in enumerate(self.targets) if target is not None and i != self.down]


@dataclass
class Bus:
    """All lines of a sheet that lead to one row: one track, one arrowhead."""

    target: int
    sources: list[tuple[int, int]] = field(default_factory=list)
    """(row, exit) on this sheet."""
    here: bool = False
    above: bool = False
    below: bool = False
    """Whether it goes over the sheet's upper or lower edge, either way."""
    track: float = 0.0

    @property
    def rows(self) -> list[int]:
        """Return the rows of this sheet at which it begins or ends."""
        return sorted({row for row, _ in self.sources} | ({self.target} if self.here else set()))

    def spans(self, first: int, last: int) -> tuple[int, int]:
        """Return the rows from where to where its track goes, one more where it leaves the sheet."""
        rows = self.rows
        return (first - 1 if self.above else rows[0]), (last + 1 if self.below else rows[-1])


@dataclass(frozen=True)
class Route:
    """One line: its corners, and whether an arrowhead stands at its last one."""

    source: int | None
    exit: int | None
    target: int | None
    points: tuple[Point, ...]
    head: bool = True


@dataclass(frozen=True)
class Shape:
    """A symbol: kind, middle, width and height."""

    kind: Literal["terminator", "process", "decision", "end"]
    row: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Connector:
    """An off-page connector: ``out`` where a line leaves the sheet, else where it comes in."""

    key: tuple[str, int]
    out: bool
    top: bool
    x: float
    y: float
    rows: tuple[int, ...]
    """Where the line goes (out), or comes from (in), as indexes of rows."""
    number: int = 0

    @property
    def heading(self) -> Heading:
        """Return which way the flow goes through it."""
        return "up" if self.out == self.top else "down"


@dataclass(frozen=True)
class Sheet:
    """One page of the flowchart: heights of its parts, and everything that is drawn on it.

    It is not ``complete`` when there are more lines than tracks; then it has to be cut into smaller ones.
    """

    first: int
    last: int
    strip_above: float
    strip_below: float
    tops: tuple[float, ...]
    bottom: float
    shapes: tuple[Shape, ...]
    joints: tuple[Route, ...]
    routes: tuple[Route, ...]
    connectors: tuple[Connector, ...]
    complete: bool


def route(lanes: Lanes, rows: Sequence[Drawn], first: int, last: int) -> Sheet:
    """Return the sheet that shows the rows ``first`` to ``last``."""
    return _Router(lanes, rows, first, last).sheet()


def far_entries(rows: Iterable[Drawn]) -> set[int]:
    """Return the rows into which lines come along a track."""
    return {target for row in rows for i in row.far if (target := row.targets[i]) is not None}


class _Router:
    def __init__(self, lanes: Lanes, rows: Sequence[Drawn], first: int, last: int) -> None:
        self.lanes, self.rows, self.first, self.last = lanes, rows, first, last
        self.on_sheet = range(first, last + 1)
        ending = [rows[i] for i in self.on_sheet if rows[i].end is not None]
        # Where a decision ends the procedure: beside its symbol, or under the one in that lane.
        self.beside = {row.index: side for row in ending if (side := self._free_side(row))}
        self.under = {row.index: self._free_lane(row) for row in ending if row.index not in self.beside}
        self.buses = self._buses()
        self.complete = any(self._assign(PITCH / closer) for closer in (1, 2, 4, 8))

    # Which lines there are ---------------------------------------------------------------------------

    def _buses(self) -> list[Bus]:
        buses: dict[int, Bus] = {}
        for row in self.rows:
            for number in row.far:
                target = row.targets[number]
                if target is None or not (row.index in self.on_sheet or target in self.on_sheet):
                    continue
                bus = buses.setdefault(target, Bus(target, here=target in self.on_sheet))
                if row.index in self.on_sheet:
                    bus.sources.append((row.index, number))
                bus.above |= min(row.index, target) < self.first
                bus.below |= max(row.index, target) > self.last
        return sorted(buses.values(), key=self._length)

    def _length(self, bus: Bus) -> tuple[int, int]:
        top, bottom = bus.spans(self.first, self.last)
        return bottom - top, bus.target

    def _free_side(self, row: Drawn) -> Side | None:
        if row.down is None:
            return None
        if max(row.lanes) + 1 < self.lanes.count or self.lanes.count == 1:
            return "right"
        return "left" if min(row.lanes) > 0 else None

    @staticmethod
    def _free_lane(row: Drawn) -> int:
        return row.lanes[0] if row.down is None else row.lanes[-1]

    # Which track each takes --------------------------------------------------------------------------

    def _assign(self, pitch: float) -> bool:
        tracks = self.lanes.tracks(pitch)
        placed: list[Bus] = []
        for bus in self.buses:
            free = [x for x in tracks if self._is_free(bus, x, placed)]
            if not free:
                return False
            bus.track = min(free, key=lambda x: (self._cost(bus, x, placed), x))
            placed.append(bus)
        return True

    def _is_free(self, bus: Bus, x: float, placed: Sequence[Bus]) -> bool:
        if any(left - CLEAR / 2 < x < right + CLEAR / 2 for left, right in map(self._reach, bus.rows)):
            return False
        top, bottom = bus.spans(self.first, self.last)
        return not any(
            other.track == x and top <= until and since <= bottom
            for other in placed
            for since, until in [other.spans(self.first, self.last)]
        )

    def _reach(self, row: int) -> tuple[float, float]:
        """Return from where to where the row's symbols reach."""
        middles = [self.lanes.middle(lane) for lane in self.rows[row].lanes]
        half = self.lanes.symbol / 2
        return min(middles) - half, max(middles) + half

    def _side(self, row: int, x: float) -> Side:
        return "left" if x < self._reach(row)[0] else "right"

    def _across(self, row: int, x: float) -> tuple[float, float]:
        """Return from where to where a line between the row's symbol and a track goes."""
        left, right = self._reach(row)
        return (x, left) if x < left else (right, x)

    def _cost(self, bus: Bus, x: float, placed: Sequence[Bus]) -> float:
        top, bottom = bus.spans(self.first, self.last)
        cost = 0.0
        for row in bus.rows:
            left, right = self._across(row, x)
            cost += _AWAY * (right - left)
            beside = [b for b in placed if row in b.rows and self._side(row, b.track) == self._side(row, x)]
            count = len(beside) + (self.beside.get(row) == self._side(row, x))
            cost += _SAME_SIDE * count + (_CROWDED if count > 1 else 0)
            for number in (number for source, number in bus.sources if source == row):
                cost += self._label_cost(row, x, self.rows[row].label_widths[number])
        for other in placed:
            since, until = other.spans(self.first, self.last)
            for row in bus.rows:
                left, right = self._across(row, x)
                cost += _CROSSING * (left < other.track < right and since <= row <= until)
            for row in other.rows:
                left, right = self._across(row, other.track)
                cost += _CROSSING * (left < x < right and top <= row <= bottom)
        for row in self.on_sheet:
            reach = [self.lanes.middle(lane) for lane in self.rows[row].lanes]
            cost += _CROSSING * (min(reach) < x < max(reach) and top <= row <= bottom)
            if row > self.first and self.rows[row - 1].down is not None and top < row <= bottom:
                jog = sorted((reach[0], self.lanes.middle(self.rows[row - 1].lanes[0])))
                cost += _CROSSING * (jog[0] < x < jog[1])
        return cost

    def _label_cost(self, row: int, x: float, needed: float) -> float:
        """Return what it costs if a label does not fit between symbol and track, or not even beyond it."""
        left, right = self._across(row, x)
        if not needed or right - left > needed + 1.5:
            return 0.0
        beyond = x if self._side(row, x) == "left" else self.lanes.total - x
        return _LABEL if beyond > needed + 1.5 else 3 * _LABEL

    # Where it is on paper ------------------------------------------------------------------------------

    def sheet(self) -> Sheet:
        connectors = self._connectors()
        above, below = (self._strip([c for c in connectors if c.top == top]) for top in (True, False))
        tops = [above[0]]
        for row in self.on_sheet:
            tops.append(tops[-1] + self.rows[row].height)
        self.tops = dict(zip(self.on_sheet, tops, strict=False))
        self.floor = tops[-1]
        self.connectors = [replace(c, y=above[1][c.key]) for c in connectors if c.top]
        self.connectors += [replace(c, y=self.floor + below[1][c.key]) for c in connectors if not c.top]
        self.ports = self._ports()
        return Sheet(
            first=self.first,
            last=self.last,
            strip_above=above[0],
            strip_below=below[0],
            tops=tuple(tops[:-1]),
            bottom=self.floor + below[0],
            shapes=tuple(self._shapes()),
            joints=tuple(self._joints()),
            routes=(*self._straight(), *self._along_tracks(), *self._to_ends()),
            connectors=tuple(self.connectors),
            complete=self.complete,
        )

    def _connectors(self) -> list[Connector]:
        found = []
        before, following = self.first - 1, self.last + 1
        if before >= 0 and self.rows[before].down is not None:
            found.append(self._straight_connector(before, out=False))
        if following < len(self.rows) and self.rows[self.last].down is not None:
            found.append(self._straight_connector(self.last, out=True))
        for bus in self.buses:
            here = tuple(row for row, _ in bus.sources)
            others = [r.index for r in self.rows for i in r.far if r.targets[i] == bus.target]
            for top in (True, False):
                if not (bus.above if top else bus.below):
                    continue
                # A row that leads up to this sheet lies below it, and comes in at the foot.
                away = tuple(r for r in others if (r < self.first if top else r > self.last))
                going = "down" if bus.here == top else "up"
                rows = away if bus.here else (bus.target,)
                if bus.here or here:
                    found.append(
                        Connector(
                            (going, bus.target), out=not bus.here, top=top, x=bus.track, y=0.0, rows=rows
                        )
                    )
        return sorted(found, key=lambda connector: connector.x)

    def _straight_connector(self, row: int, *, out: bool) -> Connector:
        lane = self.rows[row if out else row + 1].lanes[0]
        rows = (row + 1,) if out else (row,)
        return Connector(("next", row + 1), out=out, top=not out, x=self.lanes.middle(lane), y=0.0, rows=rows)

    @staticmethod
    def _strip(connectors: Sequence[Connector]) -> tuple[float, dict[tuple[str, int], float]]:
        """Return how high the strip is, and how far down in it each connector's middle is."""
        ends: list[float] = []
        level: dict[tuple[str, int], int] = {}
        for connector in connectors:
            fitting = (i for i, end in enumerate(ends) if connector.x - end >= CONNECTOR + 0.8)
            mine = next(fitting, len(ends))
            ends[mine:] = [connector.x, *ends[mine + 1 :]]
            level[connector.key] = mine
        if not connectors:
            return 0.0, {}
        height = len(ends) * LEVEL + 2 * EDGE
        # The line to a connector farther from the rows passes between those that are nearer.
        away = [EDGE + LEVEL * (i + 0.5) for i in range(len(ends))]
        top = connectors[0].top
        return height, {key: height - away[i] if top else away[i] for key, i in level.items()}

    def _ports(self) -> dict[tuple[int, Side, str, int], float]:
        """Return how high each line meets the side of a symbol: by row, side, and exit or entry."""
        found: dict[tuple[int, Side, str, int], float] = {}
        sides: dict[tuple[int, Side], list[tuple[tuple[float, float], str, int]]] = {}
        for bus in self.buses:
            top, bottom = bus.spans(self.first, self.last)
            for row, number in bus.sources:
                going = -1 if bus.target <= row else 1
                key = self._port_order(row, bus.track, going)
                sides.setdefault((row, self._side(row, bus.track)), []).append((key, "exit", number))
            if bus.here:
                coming = (top < bus.target) * -1 + (bottom > bus.target)
                key = self._port_order(bus.target, bus.track, coming)
                sides.setdefault((bus.target, self._side(bus.target, bus.track)), []).append((key, "in", 0))
        for row, beside in self.beside.items():
            sides.setdefault((row, beside), []).append(((0.0, 0.0), "exit", self.rows[row].end or 0))
        for (row, side), ports in sides.items():
            height = self.rows[row].symbol_height
            step = min(PORT, (height - 2) / max(1, len(ports) - 1))
            for place, (_, kind, number) in enumerate(sorted(ports)):
                offset = (place - (len(ports) - 1) / 2) * step
                found[row, side, kind, number] = self._middle(row) + offset
        return found

    def _port_order(self, row: int, track: float, going: int) -> tuple[float, float]:
        # Up: the nearest track above. Down: the nearest below. So no line crosses another's beginning.
        left, right = self._across(row, track)
        return float(going), (right - left) * (-going or 1)

    def _middle(self, row: int) -> float:
        drawn = self.rows[row]
        return self.tops[row] + drawn.above + drawn.symbol_height / 2

    def _edge(self, row: int, side: Side, y: float) -> float:
        """Return where the outline of a row's symbol is, at a side and height."""
        drawn = self.rows[row]
        half, up = self.lanes.symbol / 2, drawn.symbol_height / 2
        away = abs(y - self._middle(row))
        if drawn.symbol == "decision":
            reach = half * (1 - away / up)
        elif drawn.symbol == "terminator":
            radius = min(half, up)
            reach = half - radius + math.sqrt(max(0.0, radius**2 - away**2))
        else:
            reach = half
        left, right = self._reach(row)
        return left + half - reach if side == "left" else right - half + reach

    def _shapes(self) -> Iterator[Shape]:
        for row in self.on_sheet:
            drawn = self.rows[row]
            for lane in drawn.lanes:
                middle = self.lanes.middle(lane), self._middle(row)
                yield Shape(drawn.symbol, row, *middle, self.lanes.symbol, drawn.symbol_height)
            if row in self.beside or row in self.under:
                yield Shape("end", row, *self._end_middle(row), self._end_width(), END_HEIGHT)

    def _end_width(self) -> float:
        return min(END_WIDTH, self.lanes.width - 2.8)

    def _end_middle(self, row: int) -> Point:
        drawn = self.rows[row]
        if row in self.under:
            lane = self.under[row]
            return self.lanes.middle(lane), self.tops[row] + drawn.height - 1.4 - END_HEIGHT / 2
        side = self.beside[row]
        y = self.ports[row, side, "exit", drawn.end or 0]
        if self.lanes.count == 1:
            return self._reach(row)[1] + _END_BESIDE - END_WIDTH / 2 - 0.5, y
        return self.lanes.middle(max(drawn.lanes) + 1 if side == "right" else min(drawn.lanes) - 1), y

    def _joints(self) -> Iterator[Route]:
        half = self.lanes.symbol / 2
        for row in self.on_sheet:
            middles = sorted(self.lanes.middle(lane) for lane in self.rows[row].lanes)
            for left, right in pairwise(middles):
                y = self._middle(row)
                yield Route(row, None, row, ((left + half, y), (right - half, y)), head=False)

    def _straight(self) -> Iterator[Route]:
        """Yield the lines from a row to the one below."""
        for row in range(self.first - 1, self.last + 1):
            if row < 0 or row + 1 >= len(self.rows) or self.rows[row].down is None:
                continue
            start = self.lanes.middle(self.rows[row].lanes[0])
            end = self.lanes.middle(self.rows[row + 1].lanes[0])
            foot = self._middle(row) + self.rows[row].symbol_height / 2 if row >= self.first else 0.0
            head = (
                self._middle(row + 1) - self.rows[row + 1].symbol_height / 2 if row + 1 <= self.last else 0.0
            )
            number = self.rows[row].down
            if row < self.first:
                yield Route(None, None, row + 1, ((end, self._tip(("next", row + 1))), (end, head)))
            elif row == self.last:
                yield Route(row, number, None, ((start, foot), (start, self._tip(("next", row + 1)))))
            else:
                turn = self.tops[row + 1] + JOG
                corners = [] if start == end else [(start, turn), (end, turn)]
                yield Route(row, number, row + 1, ((start, foot), *corners, (end, head)))

    def _tip(self, key: tuple[str, int]) -> float:
        """Return where a line meets a connector."""
        found = next(connector for connector in self.connectors if connector.key == key)
        return found.y + (CONNECTOR_HEIGHT / 2 if found.top else -CONNECTOR_HEIGHT / 2)

    def _along_tracks(self) -> Iterator[Route]:
        for bus in self.buses:
            x, target = bus.track, bus.target
            if bus.here:
                side = self._side(target, x)
                y = self.ports[target, side, "in", 0]
                ending: tuple[Point, ...] = ((x, y), (self._edge(target, side, y), y))
                for above, going in ((bus.above, "down"), (bus.below, "up")):
                    if above:
                        yield Route(None, None, target, ((x, self._tip((going, target))), *ending))
            else:
                ending = ((x, self._tip(("up" if target < self.first else "down", target))),)
            for row, number in bus.sources:
                side = self._side(row, x)
                y = self.ports[row, side, "exit", number]
                beginning = ((self._edge(row, side, y), y), (x, y))
                yield Route(row, number, target if bus.here else None, (*beginning, *ending))

    def _to_ends(self) -> Iterator[Route]:
        for row in (*self.beside, *self.under):
            drawn, (x, y) = self.rows[row], self._end_middle(row)
            points: tuple[Point, ...]
            if row in self.beside:
                side = self.beside[row]
                sign = 1 if side == "right" else -1
                points = (self._edge(row, side, y), y), (x - sign * self._end_width() / 2, y)
            else:
                points = (x, self._middle(row) + drawn.symbol_height / 2), (x, y - END_HEIGHT / 2)
            yield Route(row, drawn.end, None, points)
