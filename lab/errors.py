"""What can go wrong in the lab: one line of problem, one line of what to do next."""

from __future__ import annotations


class LabError(Exception):
    """A part of the lab did not come up, stay up or go away."""

    exit_code = 4

    def __init__(self, problem: str, next_step: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step


class ImpossibleHereError(LabError):
    """The request is wrong, or this machine cannot do it."""

    exit_code = 2
