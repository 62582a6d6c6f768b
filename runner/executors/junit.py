"""Reads the results of tests out of the JUnit file that pytest leaves.

Messages may quote what a host said: they are cut, and characters that steer a terminal are written out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from runner.display import display

TEST_ID = re.compile(r"(?P<name>\w+).*\[ansible://(?P<host>[^\]]+)\]")
_LOST = re.compile(
    r'(?:failed on (?:setup|teardown) with ")?(?:\w+\.)*(?:HostUnreachableError|RuntimeError: CommandResult)'
)
_SSH_SAID = re.compile(r"""_stderr=b?(['"])(?P<said>.*?)\1\)?$""", re.DOTALL)
# What pytest adds below the author's sentence: the compared values, or a note that there is more.
_AFTER_THE_SENTENCE = re.compile(r"\n(?:assert |\[\+\d+ more line)")
MAX_MESSAGE = 600


class ResultsError(Exception):
    """The results of the tests cannot be relied on."""


@dataclass(frozen=True)
class HostTest:
    """One executed (or skipped) test on one host."""

    name: str
    title: str
    outcome: str
    message: str
    is_lost: bool = False

    def as_evidence(self) -> dict[str, str]:
        """Return the test as it stands in the evidence."""
        return {"name": self.name, "title": self.title, "outcome": self.outcome, "message": self.message}


@dataclass
class _Reader:
    """Collects the test cases of a JUnit file; expat's callbacks need something to write to."""

    tests: dict[str, list[HostTest]] = field(default_factory=dict)
    case: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "testcase":
            self.case = {"id": attributes.get("name", ""), "outcome": "passed"}
        elif name == "property" and attributes.get("name") == "title":
            self.case["title"] = attributes.get("value", "")
        elif name in {"failure", "error", "skipped"}:
            self.case["outcome"] = {"failure": "failed"}.get(name, name)
            self.case["message"] = attributes.get("message", "")

    def end(self, name: str) -> None:
        match = TEST_ID.fullmatch(self.case.get("id", "")) if name == "testcase" else None
        if not match:
            return
        message = self.case.get("message", "")
        is_lost = self.case["outcome"] in {"failed", "error"} and bool(_LOST.match(message))
        title = display(self.case.get("title") or match["name"], longest=200)
        shown = display(_readable(message, is_lost=is_lost), longest=MAX_MESSAGE)
        test = HostTest(match["name"], title, self.case["outcome"], shown, is_lost)
        self.tests.setdefault(match["host"], []).append(test)


def read_junit(path: Path) -> dict[str, list[HostTest]]:
    """Return the tests of each host out of a JUnit file.

    Raises:
        ResultsError: when there is none, when it is no XML, or when it defines entities.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        with path.open("rb") as stream:
            parser.ParseFile(stream)
    except (OSError, expat.ExpatError) as error:
        raise ResultsError(f"the tests left no readable results: {error}") from error
    return reader.tests


def _refuse_doctype(*_: object) -> None:
    raise ResultsError("the results of the tests define entities, which pytest never does")


def _readable(message: str, *, is_lost: bool) -> str:
    """Return the sentence of a test's author, or of ssh, without what pytest puts around it."""
    if is_lost:
        said = _SSH_SAID.search(message.rstrip('"'))
        return (
            said["said"].replace(r"\r", "").replace(r"\n", " ").strip()
            if said
            else "host tidak dapat dihubungi"
        )
    message = re.sub(r'^failed on (?:setup|teardown) with "(.*)"$', r"\1", message, flags=re.DOTALL)
    return _AFTER_THE_SENTENCE.split(re.sub(r"^(?:AssertionError|Failed): ", "", message))[0].strip()
