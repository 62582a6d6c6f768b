"""What is signed at the command line is what its signer saw: he is shown it and asked, or gives its code.

A code is short enough to be typed and stands for everything that was shown. Whoever looked at the gate
before ('rawat status', 'rawat decide RUN') and gives its code is not asked again; without a terminal there is
no other way, since there nobody can be shown anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from runner import errors
from runner.prompt import forget_typed_ahead
from runner.typed import read_line

_YES = frozenset({"y", "yes", "ya"})


@dataclass(frozen=True)
class Shown:
    """What is to be signed: how it is shown, its code, and the option that takes that code."""

    show: Callable[[], None]
    code: str
    option: str

    def require_seen(self, given: str | None, question: str) -> None:
        """Require that the signer has seen it: by the code that he gives, or by showing it and asking.

        Raises:
            DecisionRefusedError: another thing was seen, or it is not wanted.
            InputError: there is no code and no terminal to show it at.
        """
        if given is not None:
            if given.strip().lower() != self.code:
                raise errors.DecisionRefusedError(
                    f"{self.option} {given} is not the code of what is open now: it has changed since it was "
                    "looked at, or the code is misspelled",
                    hint="look at it again with the same command without the code; nothing was signed",
                )
            return
        self.show()
        if not at_terminal():
            raise errors.InputError(
                "nothing was signed: without a terminal nobody can be asked whether this is what he means",
                hint=f"look at what is shown above; the same command with {self.option} {self.code} signs it",
            )
        forget_typed_ahead()
        try:
            answer = read_line(f"{question} [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in _YES:
            raise errors.DecisionRefusedError("nothing was signed", hint="all is as it was before")


def at_terminal() -> bool:
    """Tell whether a person can be shown something and asked."""
    # Either is None when whoever started the program had closed it.
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
