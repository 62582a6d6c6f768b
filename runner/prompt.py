"""Asks the awaited official at the terminal for a decision.

Nothing here decides or proves anything: the choice goes to the engine, and ssh-keygen asks for the
passphrase of the key itself.
"""

from __future__ import annotations

import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from runner import conffiles, gates
from runner.clock import SystemClock
from runner.gates import Choice
from runner.moves import Gate
from runner.officials import Official
from runner.record import Record
from runner.screens import gate_view, one_line
from runner.typed import read_line


class Prompt:
    """Asks on one console; ``keys`` is where the officials' own keys are looked for first."""

    def __init__(self, console: Console, keys: Path, read_line: Callable[[str], str] = read_line) -> None:
        self._console = console
        self._keys = keys
        self._read_line = read_line

    def __call__(self, gate: Gate, record: Record) -> tuple[Choice, Path] | None:
        """Show what is decided on and return the choice with the key, or None when nobody answers."""
        self._console.print(gate_view(gate, record))
        self._console.print(Text(f"     awaited: {gate.awaited}", style="bold magenta"))
        forget_typed_ahead()
        try:
            official = self._official(gate, record)
            if official is None:
                self._console.print(Text("     nobody of the roster may decide here today", style="yellow"))
                return None
            outcome = self._pick("Decision", gate.outcomes)
            reason = self._reason(gate, record, outcome)
            files = self._conffiles(gate, record, outcome)
            key = self._key(official)
        except (EOFError, KeyboardInterrupt):
            self._console.print()
            return None
        self._console.print(
            Text(f"     ssh-keygen asks {official.name} for the passphrase of {key}", style="dim")
        )
        return Choice(official.id, outcome, reason, files), key

    def _official(self, gate: Gate, record: Record) -> Official | None:
        operator, today = record.started["operator"], record.roster.day(SystemClock().now().at)
        able = [
            holder
            for position in gate.open_seats
            for holder in record.roster.holders(position, today)
            if gates.refusal_of_person(gate, record.roster, operator, holder.official, today) is None
        ]
        if not able:
            return None
        if len(able) == 1:
            who = able[0].official
            self._console.print(
                Text(f"     {who.name} ({who.id}), {able[0].title}, decides", style="magenta")
            )
            return who
        chosen = self._pick("Who decides", tuple(holder.official.id for holder in able))
        return next(holder.official for holder in able if holder.official.id == chosen)

    def _pick(self, question: str, choices: tuple[str, ...]) -> str:
        for number, choice in enumerate(choices, start=1):
            self._console.print(Text(f"       {number}  {choice}"))
        while True:
            answer = self._read_line(f"     {question} (number or word): ").strip()
            if answer in choices:
                return answer
            if answer.isdigit() and 1 <= int(answer) <= len(choices):
                return choices[int(answer) - 1]
            self._console.print(Text(f"     please answer with 1 to {len(choices)}", style="yellow"))

    def _reason(self, gate: Gate, record: Record, outcome: str) -> str:
        step = record.sop.step(gate.step)
        needed = record.sop.needs_reason(step, outcome)
        while True:
            answer = self._read_line(f"     Reason{'' if needed else ' (may stay empty)'}: ").strip()
            if answer or not needed:
                return answer
            self._console.print(Text(f"     {outcome!r} needs a reason", style="yellow"))

    def _conffiles(self, gate: Gate, record: Record, outcome: str) -> conffiles.Chosen:
        """Ask what becomes of each configuration file that was changed; without an answer, as planned."""
        step, chosen = record.sop.step(gate.step), conffiles.Chosen()
        shows = step.decision.shows if step.decision else ""
        if shows != "plan" or record.plan is None or record.sop.turns_down(step, outcome):
            return chosen
        if gate.votes:
            # Both choose the same: what the first one signed stands on the screen.
            return dict(gate.votes[-1]["conffiles"])
        plan = conffiles.applied(record.plan, gates.chosen_conffiles(record.sop, record.state))
        for host, entry in plan["hosts"].items():
            for item in conffiles.choosable(entry):
                told = f"{host}: {item['path']} was {item['state']} there; keep it, or the package's new one"
                self._console.print(Text(f"     {one_line(told)}"))
                answer = self._keep_or_new(item["choice"])
                if answer != item["choice"]:
                    chosen.setdefault(host, {})[item["path"]] = answer
        return chosen

    def _keep_or_new(self, planned: str) -> Literal["keep", "new"]:
        while True:
            answer = self._read_line(f"     keep or new [{planned}]: ").strip() or planned
            if answer in {"keep", "new"}:
                return "new" if answer == "new" else "keep"
            self._console.print(Text("     please answer keep or new", style="yellow"))

    def _key(self, official: Official) -> Path:
        usual = self._keys / official.id
        if usual.exists():
            answer = self._read_line(f"     Key of {official.name} [{usual}]: ").strip()
            return Path(answer).expanduser() if answer else usual
        return Path(self._read_line(f"     Key of {official.name} (path): ").strip()).expanduser()


def forget_typed_ahead() -> None:
    """Drop keys pressed before the question was seen: nobody decides by accident."""
    if sys.stdin.isatty():
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
