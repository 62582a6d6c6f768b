"""Which document an official is to sign electronically next, and what that is put on. Pure rules.

Beside the statement that everybody signs at a gate, an office may have its documents signed as PDF: those
that the SOP has ratified, by the official who verifies and by the one who ratifies. What was verified is
signed first, and who ratifies adds his signature to that very file: it is the one that he was shown at his
gate. A decision in wet ink has no such signature, and one may be left out, with a reason; the next one is
then made on the document as it was built last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runner import gates
from runner.moves import DueSignature
from runner.officials import Roster
from runner.sop import Output, Sop, Step
from runner.state import RunState

SIGNED, LEFT_OUT = "document_signed", "signature_left_out"
VERIFIED, RATIFIED = "verified", "ratified"


def place_of(step: int, seat: int) -> str:
    """Return the id of the room for the signature of a seat (from 1) of the row that decides."""
    return f"ttd-{step}-{seat}"


def rows_that_sign(sop: Sop, document: str, versions: Iterable[str]) -> list[tuple[Step, Output]]:
    """Return the rows at whose gates the document is signed, in order; none unless the SOP ratifies it."""
    wanted = set(versions)
    rows = [
        (row, output)
        for row in sop.steps
        for output in row.documents
        if output.document == document and row.decision and row.decision.by == "official"
    ]
    if all(output.version != RATIFIED for _, output in rows):
        return []
    return [(row, output) for row, output in rows if output.version in wanted]


def signed_outputs(state: RunState) -> list[Output]:
    """Return the documents of the row the run is at that its decision's officials are to sign."""
    if state.signing.asked is None or state.decision is None:
        return []
    step, versions = state.step, state.signing.asked["versions"]
    return [
        output
        for output in step.documents
        if any(
            (row.no, of.version) == (step.no, output.version)
            for row, of in rows_that_sign(state.sop, output.document or "", versions)
        )
    ]


def next_signature(state: RunState) -> DueSignature | None:
    """Return the signature that the row the run is at awaits, None when it awaits none."""
    for output in signed_outputs(state):
        at = {
            "step": state.step.no,
            "attempt": state.attempt,
            "document": output.document or "",
            "version": output.version,
        }
        due = _missing(state, at)
        if due:
            return due
    return None


def _missing(state: RunState, at: dict[str, Any]) -> DueSignature | None:
    """Return the first signature on one document that is neither there nor left out."""
    if state.decision is None:
        return None
    told = [event for event in state.signing.told if all(event[key] == at[key] for key in at)]
    done = {event["person"]["id"] for event in told}
    seats = [state.sop.actors[actor] for actor in state.sop.seats(state.step)]
    for made in gates.signed_for(state, state.decision):
        if made["paper"] is None and made["person"]["id"] not in done:
            base = _tip(state, at["document"])
            number = len(told) + 1
            return DueSignature(
                **at,
                person=made["person"],
                place=place_of(at["step"], seats.index(made["person"]["position"]) + 1),
                base=base,
                path=signed_path(at, number),
            )
    return None


def signed_path(at: dict[str, Any], number: int) -> str:
    """Return where the ``number``-th signed file of one version of a document stands."""
    stem = f"documents/{at['step']:02d}-{at['attempt']}-{at['document']}-{at['version']}-signed"
    return f"{stem}.pdf" if number == 1 else f"{stem}-{number}.pdf"


def _tip(state: RunState, document: str) -> dict[str, str]:
    """Return the file that is signed next.

    A new draft, or what is verified anew, begins anew; what is ratified is signed on the file that was
    verified, if that was signed at all.
    """
    about = [event for event in (*state.documents, *state.signing.told) if event["document"] == document]
    files: list[dict[str, str]] = []
    signed = False
    for event in sorted(about, key=lambda one: one.seq):
        if event.name != LEFT_OUT and (event.name == SIGNED or event["version"] != RATIFIED or not signed):
            files, signed = event["files"], event.name == SIGNED
    return dict(files[-1])


def who_may_leave_out(due: DueSignature, roster: Roster, operator: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the persons who may say that a signature is left out: whose it is, and who operates the run."""
    operates = roster.official(operator["id"])
    return [due.person, *([operates.person()] if operates else [])]
