"""What is signed at a gate, by whom, and the record it makes. Pure rules.

Four statements there are: a decision; and for a decision in wet ink its entry with the scan, its
confirmation by a second person, and the withdrawal of an entry. ``Statements`` makes each, or refuses it.
The same rules are asked when somebody signs, again when it is recorded, and by ``replay`` of every record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from runner import errors, gates
from runner.clock import format_utc
from runner.gates import Choice
from runner.journal import Event
from runner.moves import Gate
from runner.officials import Official, Roster
from runner.sop import Sop, duration_seconds


@dataclass(frozen=True)
class Signed:
    """A statement with the name and the fields of the record that will name it."""

    event: str
    signer: Official
    said: dict[str, Any]
    fields: dict[str, Any]


@dataclass(frozen=True)
class Statements:
    """Makes the statements of one run; each method raises DecisionRefusedError where the rules refuse."""

    sop: Sop
    roster: Roster
    run: str
    operator: dict[str, Any]

    def decision(self, gate: Gate, choice: Choice, at: datetime) -> Signed:
        """Return the decision that an official signs with his own key."""
        day = self.roster.day(at)
        _refuse(gates.refusal(self.sop, gate, self.roster, self.operator, choice, day))
        person = self._person(gate, choice, day)
        return self._made(gate, self._official(choice.official), "decision", person, choice, at, None)

    def entry(  # noqa: PLR0917 - all that is bound by the signature
        self, gate: Gate, choice: Choice, paper: date, scan: str, enterer: str, at: datetime
    ) -> Signed:
        """Return the entry of a decision in wet ink: dated ``paper``, with its scan's SHA-256."""
        day = self.roster.day(at)
        _refuse(gates.refusal(self.sop, gate, self.roster, self.operator, choice, paper))
        _refuse(gates.refusal_of_entry(gate, self.roster, paper, enterer, choice.official, day))
        official, person = self._official(enterer), self._person(gate, choice, paper)
        about = {"date": paper.isoformat(), "scan": scan, "entered_by": official.person()}
        said = self._statement(gate, official, "paper-entry", person, choice, at, about)
        fields = {"date": paper.isoformat(), "entered_by": official.person(), **_decided(choice, person)}
        return Signed("paper_entered", official, said, fields)

    def confirmation(self, gate: Gate, confirmer: str, at: datetime) -> Signed:
        """Return the confirmation of the entered decision in wet ink, which makes it a decision."""
        _refuse(
            gates.refusal_of_confirmation(gate, self.roster, self.operator, confirmer, self.roster.day(at))
        )
        entry = _entry(gate)
        choice = Choice(entry["person"]["id"], entry["outcome"], entry["reason"], entry["conffiles"])
        # The other official may have decided since it was entered.
        paper = date.fromisoformat(entry["date"])
        _refuse(gates.refusal(self.sop, gate, self.roster, self.operator, choice, paper))
        official = self._official(confirmer)
        about = {**_about(entry), "confirmed_by": official.person()}
        return self._made(gate, official, "paper-confirmation", entry["person"], choice, at, about)

    def withdrawal(self, gate: Gate, official_id: str, reason: str, at: datetime) -> Signed:
        """Return the withdrawal of the entered decision in wet ink."""
        day = self.roster.day(at)
        _refuse(gates.refusal_of_withdrawal(gate, self.roster, official_id, reason, day))
        entry, official = _entry(gate), self._official(official_id)
        choice = Choice(entry["person"]["id"], entry["outcome"], reason)
        said = self._statement(gate, official, "paper-withdrawal", entry["person"], choice, at, _about(entry))
        fields = {"reason": reason.strip(), "withdrawn_by": official.person()}
        return Signed("paper_withdrawn", official, said, fields)

    def of_record(self, gate: Gate, event: Event, at: datetime) -> Signed:
        """Return the statement that a record of the journal tells of, as it is made at that moment."""
        match event.name:
            case "paper_entered":
                choice = Choice(event["person"]["id"], event["outcome"], event["reason"], event["conffiles"])
                paper, scan = date.fromisoformat(event["date"]), event["scan"]["sha256"]
                return self.entry(gate, choice, paper, scan, event["entered_by"]["id"], at)
            case "paper_withdrawn":
                return self.withdrawal(gate, event["withdrawn_by"]["id"], event["reason"], at)
            case _ if event["paper"] is not None:
                return self.confirmation(gate, event["paper"]["confirmed_by"]["id"], at)
            case _:
                choice = Choice(event["person"]["id"], event["outcome"], event["reason"], event["conffiles"])
                return self.decision(gate, choice, at)

    def _made(  # noqa: PLR0917 - the fields of a decision
        self,
        gate: Gate,
        signer: Official,
        kind: str,
        person: dict[str, Any],
        choice: Choice,
        at: datetime,
        paper: dict[str, Any] | None,
    ) -> Signed:
        event = "decision_made" if gates.settles(self.sop, gate, choice.outcome) else "vote_made"
        said = self._statement(gate, signer, kind, person, choice, at, paper)
        return Signed(event, signer, said, {**_decided(choice, person), "paper": paper})

    def _statement(  # noqa: PLR0917 - the fields of a statement
        self,
        gate: Gate,
        signer: Official,
        kind: str,
        person: dict[str, Any],
        choice: Choice,
        at: datetime,
        paper: dict[str, Any] | None,
    ) -> dict[str, Any]:
        step = self.sop.step(gate.step)
        valid_for = duration_seconds(step.decision.valid_for) if step.decision else 0
        return {
            "format": 2,
            "kind": kind,
            "signer": signer.id,
            "run": self.run,
            "gate": {"step": gate.step, "attempt": gate.attempt, "kegiatan": step.kegiatan},
            "subject": gate.subject,
            "person": person,
            "outcome": choice.outcome,
            "reason": choice.reason.strip(),
            "conffiles": choice.conffiles,
            "paper": paper,
            "nonce": gate.nonce,
            "decided": format_utc(at),
            "expires": format_utc(at + timedelta(seconds=valid_for)),
        }

    def _person(self, gate: Gate, choice: Choice, day: date) -> dict[str, Any]:
        holder = gates.seat(gate, self.roster, self._official(choice.official), day)
        if holder is None:
            raise errors.DecisionRefusedError(f"{choice.official!r} may not decide here")
        return holder.person

    def _official(self, official_id: str) -> Official:
        official = self.roster.official(official_id)
        if official is None:
            raise errors.DecisionRefusedError(f"{official_id!r} is not in the roster of officials")
        return official


def _decided(choice: Choice, person: dict[str, Any]) -> dict[str, Any]:
    return {
        "outcome": choice.outcome,
        "reason": choice.reason.strip(),
        "conffiles": choice.conffiles,
        "person": person,
    }


def _about(entry: Event) -> dict[str, Any]:
    """Return what is known of an entered paper."""
    return {
        "date": entry["date"],
        "scan": entry["scan"]["sha256"],
        "entered_by": entry["entered_by"],
        "entry": entry["statement"]["sha256"],
    }


def _entry(gate: Gate) -> Event:
    if gate.entry is None:
        raise errors.DecisionRefusedError("no decision on paper was entered")
    return gate.entry


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise errors.DecisionRefusedError(reason, hint="the gate is still open")
