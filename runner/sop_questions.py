"""Asks at the terminal what a SOP's paper says, row by row, and returns it as the data of a SOP file.

An empty answer leaves out what the paper does not have. Ctrl-D ends the rows: what was answered is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from runner.sop import Available, duration_seconds
from runner.sop_draft import name_of
from runner.typed import read_line

_NOTHING, _PLAYBOOK, _SUITE, _DOCUMENT, _ARCHIVE, _FORM = (
    "nothing: a person does it",
    "run a playbook on the hosts",
    "test the hosts",
    "draft the documents of the output",
    "check and seal the run",
    "ask for a form that a person fills in",
)
_YES, _NO = "yes", "no"
_FIELDS: Mapping[str, str] = {
    "words": "text",
    "a list of words": "lines",
    "a whole number": "number",
    "an amount in rupiah": "rupiah",
    "a day": "date",
    "one of some choices": "choice",
    "some of some choices": "choices",
    "a table": "table",
    "files (PDF, JPEG, PNG)": "attachments",
}
"""What a field takes, as it is asked for -> its type."""
_COLUMNS = ("text", "number", "rupiah", "date", "choice")
_LOOK, _PLAN, _BACKUP, _CHANGE = "only looks", "makes the plan", "is the backup", "changes the hosts"
_ONWARD, _PERSON, _RESULT = (
    "always to the same row",
    "pelaksana decides, at a gate",
    "the results of the hosts decide",
)
_WHATS = {_PLAN: "plan", _BACKUP: "backup", _CHANGE: "changes"}
_NUMBER = re.compile(r"^[1-9][0-9]{0,2}$")

Data = dict[str, Any]


class SopQuestions:
    """Asks on one console; ``available`` is what a row may name."""

    def __init__(
        self, console: Console, available: Available, read_line: Callable[[str], str] = read_line
    ) -> None:
        self._console = console
        self._available = available
        self._read_line = read_line
        self._forms: Data = {}

    def ask(self, file_name: str) -> Data:
        """Return the data of a SOP whose file is called ``file_name``, without its ending.

        Raises:
            EOFError: when the questions end before the first row.
        """
        self._say("The identity block (Enter leaves out what the paper does not have)")
        identity = {"unit": self._words("Unit (organisasi)")}
        for key, question in (("kantor", "Kantor"), ("nama_sop", "Nama SOP"), ("nomor_sop", "Nomor SOP")):
            answer = self._words(question) if key == "nama_sop" else self._line(question)
            identity |= {key: answer} if answer else {}
        self._say("Who does the rows (Pelaksana): one position a line, to the letter; Enter ends the list")
        actors: dict[str, str] = {}
        while position := self._line("Position"):
            actors[name_of(position, actors)] = position
        head = {"format": 1, "id": name_of(file_name), "identity": identity, "actors": actors}
        rows = self._rows(actors)
        return head | ({"forms": self._forms} if self._forms else {}) | {"steps": rows}

    def _rows(self, actors: dict[str, str]) -> list[Data]:
        rows: list[Data] = []
        try:
            self._say("Row 1")
            while kegiatan := self._line("Kegiatan (Enter: there are no more rows)"):
                rows.append({"no": len(rows) + 1, "kegiatan": kegiatan})
                self._fill(rows[-1], actors)
                self._say(f"Row {len(rows) + 1}")
        except EOFError:
            self._console.print()
        if rows and rows[-1].get("next") == len(rows) + 1:
            rows[-1]["next"] = "end"
        return rows

    def _fill(self, row: Data, actors: dict[str, str]) -> None:
        """Put the answers into the row one by one, so that those are kept after which somebody breaks off."""
        who = self._pick("Pelaksana", list(actors), shown=list(actors.values()), none="nobody")
        if who is None:
            row["next"] = self._target("Leads to row", row["no"] + 1)
            return
        row |= {"pelaksana": who}
        row |= {"waktu": self._time()}
        row |= self._listed("kelengkapan", "Kelengkapan")
        outputs = [self._output(name) for name in self._lines("Output")]
        row |= {"output": outputs} if outputs else {}
        action = self._action()
        row |= {"action": action} if action else {}
        row |= self._exits(row["no"], tested=bool(action and {"playbook", "suite", "proof"} & set(action)))

    def _time(self) -> str | None:
        while answer := self._line("Waktu, such as 15 Menit, 2 Jam or 3 Hari (Enter: the paper has none)"):
            try:
                duration_seconds(answer)
            except ValueError:
                self._say("     please answer with a time such as 15 Menit, 2 Jam or 3 Hari")
            else:
                return answer
        return None

    def _output(self, name: str) -> Data:
        documents = sorted(self._available.documents)
        made = self._pick(f"Which document is {name!r}", documents, none="none that Rawat makes")
        if made is None:
            return {"name": name}
        versions = ["draft", "verified", "ratified", "final"]
        return {"name": name, "document": made, "version": self._pick("Its version", versions) or "final"}

    def _action(self) -> Data | None:
        kinds = [_NOTHING, _PLAYBOOK, _SUITE, _DOCUMENT, _ARCHIVE, _FORM]
        what = self._pick("What does Rawat do in this row", kinds)
        if what == _PLAYBOOK:
            playbook = self._pick("Which playbook", sorted(self._available.playbooks))
            does = self._pick("It", [_LOOK, _PLAN, _BACKUP, _CHANGE])
            return {"playbook": playbook} | ({_WHATS[does]: True} if does in _WHATS else {})
        if what == _SUITE:
            return {"suite": self._pick("Which tests", sorted(self._available.suites))}
        if what == _FORM:
            return self._form_of_row()
        return {_DOCUMENT: {"document": True}, _ARCHIVE: {"archive": True}}.get(what or "")

    def _form_of_row(self) -> Data:
        titles = [form["title"] for form in self._forms.values()]
        name = self._pick("Which form", list(self._forms), shown=titles, none="a new one") if titles else None
        action = {"form": name or self._new_form()}
        proof = self._pick(
            "Which playbook looks on the hosts whether it is so",
            sorted(self._available.playbooks),
            none="none",
        )
        return action | ({"proof": proof} if proof else {})

    def _new_form(self) -> str:
        """Ask for a form and return its name; a field that was begun and broken off is left out."""
        title = self._words("Title of the form")
        name, fields = name_of(title, self._forms), dict[str, Data]()
        self._forms[name] = {"title": title, "fields": fields}
        while label := self._line("Label of a field, as on the paper (Enter: no more)"):
            fields[name_of(label, fields)] = self._field(label, fields)
        return name

    def _field(self, label: str, others: Data) -> Data:
        has_files = any(field.get("type") == "attachments" for field in others.values())
        kinds = [kind for kind, type_ in _FIELDS.items() if not (has_files and type_ == "attachments")]
        type_ = _FIELDS[self._pick(f"What is {label!r}", kinds) or kinds[0]]
        field: Data = {"label": label} | ({"type": type_} if type_ != "text" else {})
        if type_ in {"choice", "choices"}:
            field["choices"] = self._some("Choice")
        if type_ == "table":
            field |= self._columns()
        if self._pick("Must it be filled in", [_YES, _NO]) == _NO:
            field["required"] = False
        return field

    def _columns(self) -> Data:
        columns: dict[str, Data] = {}
        while not columns or (label := self._line("Next column (Enter: no more)")):
            label = label if columns else self._words("First column")
            type_ = self._pick(f"What is {label!r}", list(_COLUMNS)) or "text"
            column: Data = {"label": label} | ({"type": type_} if type_ != "text" else {})
            columns[name_of(label, columns)] = column | (
                {"choices": self._some("Choice")} if type_ == "choice" else {}
            )
        numbers = [name for name, column in columns.items() if column.get("type") == "number"]
        amounts = [name for name, column in columns.items() if column.get("type") == "rupiah"]
        summed = len(amounts) == 1 and self._pick(
            f"Multiply {' and '.join([*numbers, *amounts])} and sum the rows up in rupiah", [_YES, _NO]
        )
        return {"columns": columns} | ({"total": [*numbers, *amounts]} if summed == _YES else {})

    def _some(self, question: str) -> list[str]:
        found = self._lines(question)
        while not found:
            self._say("     at least one is needed")
            found = self._lines(question)
        return found

    def _exits(self, no: int, *, tested: bool) -> Data:
        ways = [_ONWARD, _PERSON, *([_RESULT] if tested else [])]
        way = self._pick("Where does the row lead", ways)
        if way == _ONWARD:
            return {"next": self._target("Leads to row", no + 1)}
        if way == _RESULT:
            good: Data = {"name": self._words("Name of the exit when all hosts are good"), "when": "ok"}
            good["next"] = self._target("It leads to row", no + 1)
            bad: Data = {"name": self._words("Name of the exit when one is not"), "when": "failed"}
            bad["next"] = self._target("It leads to row", no + 1)
            return {"decision": {"by": "result", "outcomes": [good, bad]}}
        shows = self._pick("What is shown at the gate", ["results", "plan", "documents", "forms"])
        outcomes: list[Data] = []
        while name := self._line("Name of an exit, such as disetujui (Enter: no more)"):
            outcomes.append({"name": name, "next": self._target("It leads to row", no + 1)})
        return {"decision": {"shows": shows, "outcomes": outcomes}}

    def _target(self, question: str, default: int) -> int | str:
        while True:
            answer = self._line(f"{question} (number, or end; Enter: {default})")
            if answer in {"", "end"}:
                return answer or default
            if _NUMBER.match(answer):
                return int(answer)
            self._say("     please answer with the number of a row, or end")

    def _listed(self, key: str, question: str) -> Data:
        lines = self._lines(question)
        return {key: lines} if lines else {}

    def _lines(self, question: str) -> list[str]:
        found: list[str] = []
        while line := self._line(f"{question}, one a line (Enter: no more)"):
            found.append(line)
        return found

    def _pick(
        self, question: str, choices: Sequence[str], *, shown: Sequence[str] = (), none: str = ""
    ) -> str | None:
        """Return one of the choices; None for Enter where ``none`` says what that means."""
        for number, choice in enumerate(shown or choices, start=1):
            self._console.print(Text(f"       {number}  {choice}"))
        hint = f"number; Enter: {none}" if none else "number"
        while True:
            answer = self._line(f"{question} ({hint})")
            if not answer and (none or not choices):
                return None
            if answer in choices:
                return answer
            if _NUMBER.match(answer) and int(answer) <= len(choices):
                return choices[int(answer) - 1]
            self._say(f"     please answer with 1 to {len(choices)}")

    def _words(self, question: str) -> str:
        while True:
            answer = self._line(question)
            if answer:
                return answer
            self._say("     this cannot stay empty")

    def _line(self, question: str) -> str:
        return self._read_line(f"     {question}: ").strip()

    def _say(self, text: str) -> None:
        self._console.print(Text(text, style="cyan"))
