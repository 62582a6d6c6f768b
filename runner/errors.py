"""Every error Rawat raises on purpose, each with the exit code of its branch.

    RawatError
    ├── InputError (2)            wrong use or bad input: SOP, inventory, roster, arguments
    │   └── DecisionRefusedError (2)   who may not decide, wrong key, missing reason
    ├── StepFailedError (4)       a row could not be done on any host
    ├── VerificationError (5)     a run or an archive is not what its record says
    └── CannotRecordError (6)     the journal cannot be written: nothing more may be done

The message says what happened and what was expected; ``hint`` says what the operator does next.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_INPUT = 2
EXIT_WAITING = 3
EXIT_STEP_FAILED = 4
EXIT_VERIFICATION = 5
EXIT_CANNOT_RECORD = 6
# The shell's convention for a program ended by SIGINT; not one of Rawat's own outcomes.
EXIT_INTERRUPTED = 130


class RawatError(Exception):
    """Base of all errors that are told to a person in one line instead of a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(RawatError):
    """What the user gave cannot be used; nothing was changed."""

    exit_code = EXIT_INPUT


class DecisionRefusedError(InputError):
    """A decision was not accepted; the gate is as open as before."""


class StepFailedError(RawatError):
    """A row could not be done; the run can be resumed."""

    exit_code = EXIT_STEP_FAILED


class VerificationError(RawatError):
    """A record differs from what was sealed; ``path`` names the first thing that is wrong."""

    exit_code = EXIT_VERIFICATION

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class CannotRecordError(RawatError):
    """The journal could not be made durable, so the act it announces must not happen."""

    exit_code = EXIT_CANNOT_RECORD
