"""Is a journal one that the engine could have written? Pure rules over its records.

For every record: fold those before it, ask ``next_move.next_move`` what came next, and require that it is
what the record says, field by field. Besides:
1. ``run_interrupted``, ``run_resumed`` and ``torn_line_dropped`` may stand anywhere before the end, and so
   may what the operator is asked (once each) and what is noted: by somebody of the roster, about an attempt
   that was over its standard time.
2. An action is announced, then told: ``action_finished`` follows its own ``action_started`` at once, and
   it is announced again only after the run was resumed.
3. A decision is by somebody who might pass that gate, on its very subject, in time, and its signed
   statement says the same.
4. A change of hosts begins within the office's windows, and a window is awaited only while none is open,
   by the record's own time.
5. The lock of a run is broken by an official of its roster who says so over the journal's last record; after
   that nothing is begun on hosts until the run was resumed, and so has taken them again.
6. The roster is changed on the signed word of an official of the one before; it judges what comes after.
7. A form is filled in only while one is due, or again before anything was signed on it or done since, by
   somebody who might.
8. A change of hosts has, at that moment, a decision on the plan that stands; a lapsed one had expired.
9. A document is signed electronically by whom its row's decision names, on the file that was due, or that is
   left out by him or the operator; what the signature in the file is worth is for ``run_check`` to judge.
10. A cure of hosts has, at that moment, the signature of the row whose form allows it, likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner import breaks, cures, errors, filled, gates, moves, pdf_signatures, reasons, rosters
from runner.canonical import canonical_json, parse_canonical, sha256_hex
from runner.checkpoint import Chain
from runner.clock import Instant, format_utc, parse_utc
from runner.display import display
from runner.events import require_shape
from runner.expiry import has_expired
from runner.journal import Event
from runner.moves import AFTER_CHANGE, SCAN_EXTENSIONS, DueSignature, Gate, Part, PartKind
from runner.next_move import next_move, window_closed
from runner.officials import Roster
from runner.sop import Sop
from runner.state import RunState
from runner.statements import Statements
from runner.waves import hosts_that_may_fail, in_natural_order

Fields = dict[str, Any]
_AT_DEADLINE = frozenset({"gate_reminded", "gate_closed"})
_OF_PAPER = frozenset({"paper_entered", "paper_withdrawn"})
_SHOWN = 120
_AT_ANY_TIME = frozenset({"run_interrupted", "run_resumed", "torn_line_dropped"}) | reasons.EVENTS


def replay(
    sop: Sop, roster: Roster, events: Sequence[Event], statements: Mapping[str, bytes], journal: str
) -> RunState:
    """Return the state of a run whose every record is the one that had to come.

    Args:
        sop: the SOP as executed.
        roster: the officials that the run was started with.
        events: the journal, each event of the right shape.
        statements: path -> content of every signed statement, and of every roster that came later.
        journal: the journal's name for messages.

    Raises:
        VerificationError: naming the first record, or statement, that cannot be.
    """
    judge = _Judge(sop, roster, statements, journal)
    for event in events:
        judge.take(event)
    return judge.state


class Replayed:
    """What one process has replayed of a journal so far: of a longer one only the rest is to be replayed.

    Each record carries the digest of the one before, so a journal that has the last record replayed at its
    place has all before it.
    """

    def __init__(self) -> None:
        self._judge: _Judge | None = None

    def go_on(
        self, sop: Sop, roster: Roster, events: Sequence[Event], statements: Mapping[str, bytes], journal: str
    ) -> None:
        """Require of every record not replayed so far what ``replay`` requires, and its shape.

        Raises:
            VerificationError: naming the first record, or statement, that cannot be; then nothing counts as
                replayed any more.
        """
        judge, self._judge = self._judge, None
        if judge is None or not judge.is_beginning_of(events):
            judge = _Judge(sop, roster, statements, journal)
        for event in judge.go_on(events, statements):
            require_shape(event, journal)
            judge.take(event)
        self._judge = judge


class _Judge:
    def __init__(self, sop: Sop, roster: Roster, statements: Mapping[str, bytes], journal: str) -> None:
        self.state = RunState(sop)
        self._sop = sop
        self._roster = roster
        self._statements = statements
        self._journal = journal
        self._previous: Event | None = None
        self._taken: list[Event] = []
        self._nonces: set[str] = set()
        self._sop_sha256 = ""

    def is_beginning_of(self, events: Sequence[Event]) -> bool:
        """Tell whether what was taken is how these records begin."""
        count = len(self._taken)
        return count <= len(events) and (count == 0 or events[count - 1].digest == self._taken[-1].digest)

    def go_on(self, events: Sequence[Event], statements: Mapping[str, bytes]) -> Sequence[Event]:
        """Return the records that are still to take, which may rest on other statements than before."""
        self._statements = statements
        return events[len(self._taken) :]

    def take(self, event: Event) -> None:
        """Require that the event is the one that had to come, and fold it."""
        if self._previous is None:
            self._require_start(event)
        elif event.name == "lock_broken" and not self.state.finished:
            self._require_break(self._taken[-1], event)
        elif event.name == rosters.CHANGED:
            self._require_roster_change(self._taken[-1], event)
        elif event.name == "run_stopped":
            self._require_stop(event)
        elif event.name == "form_filled" and not self.state.finished:
            self._require_filled(event)
        elif event.name not in _AT_ANY_TIME or self.state.finished:
            self._require_next(self._previous, event)
        elif event.name in reasons.EVENTS:
            self._require_note(event)
        self.state.apply(event)
        self._taken.append(event)
        if event.name not in reasons.EVENTS and event.name != rosters.CHANGED:
            self._previous = event

    def _require_start(self, event: Event) -> None:
        if event.name != "run_started":
            raise self._wrong(event, f"{event.name} cannot be the first record")
        self._sop_sha256 = event["sop"]["sha256"]
        owed = [each["host"] for each in event["owed"]]
        if list(in_natural_order(owed)) != owed or not set(owed) <= set(event["inventory"]["hosts"]):
            raise self._wrong(event, "run_started: what is owed is not a list of hosts of the run")

    def _require_next(self, previous: Event, event: Event) -> None:
        if event.name == "action_finished":
            self._require_told(previous, event)
            return
        move = next_move(self.state)
        if event.name == "decision_lapsed":
            self._require_lapse(move, event)
            return
        if isinstance(move, moves.ComparePlan):
            self._require_comparison(move.part, event)
            return
        if event.name == "window_awaited" or event.name in _AT_DEADLINE:
            self._require_time_to(move, event)
            return
        name, fields = self._announced(move, event)
        if event.name != name:
            due = f"{name} {_where(fields)}".rstrip() if name else "nothing"
            raise self._wrong(event, f"{event.name} {_where(event.fields)} is out of order: {due} was due")
        self._require_fields(event, fields)
        if isinstance(move, moves.DoPart):
            self._require_start_of_action(move.part, previous, event, changes=fields["changes"])
        if isinstance(move, moves.AwaitDecision):
            self._require_signed(move.gate, event)
        if isinstance(move, moves.OpenGate):
            self._require_new_nonce(event)
        if isinstance(move, moves.MakePlan | moves.ProposeRepairs | moves.WriteDocument):
            self._require_places(event)

    def _announced(self, move: moves.Move, event: Event) -> tuple[str, Fields]:  # noqa: PLR0911 - one per move
        """Return the record that announces the move: its name and the fields that are settled by the move."""
        here = {"step": self.state.current, "attempt": self.state.attempt}
        match move:
            case moves.StartStep(step, attempt, parts):
                listed = [{"name": p.name, "kind": p.kind, "hosts": list(p.hosts)} for p in parts]
                return "step_started", {"step": step, "attempt": attempt, "parts": listed}
            case moves.DoPart(part):
                return "action_started", {
                    **here,
                    **_part(part),
                    "changes": moves.changes_hosts(part, self.state.step),
                }
            case moves.SkipPart(part, reason):
                return "action_skipped", {**here, **_part(part), "reason": reason}
            case moves.MakePlan(step, attempt):
                planned = event.fields.get("hosts", ())
                budget = hosts_that_may_fail(self.state.given_budget, len(planned))
                return "plan_made", {"step": step, "attempt": attempt, "failure_budget": budget}
            case moves.ProposeRepairs(step, attempt):
                return "repairs_proposed", {"step": step, "attempt": attempt}
            case moves.OpenGate():
                return "gate_opened", gates.opening(self._sop, self.state, self._sop_sha256)
            case moves.AwaitDecision(gate):
                return self._due_at(gate, event), {**here, "subject": gate.subject, "nonce": gate.nonce}
            case moves.WriteDocument(step, attempt, output):
                made = {"document": output.document, "version": output.version, "name": output.name}
                at = {"step": step, "attempt": attempt, "as_of": event.seq - 1}
                return "document_written", {**at, **made}
            case moves.AwaitSignature(due):
                return self._of_signature(due, event)
            case _:
                return self._led_on(move, here)

    def _of_signature(self, due: DueSignature, event: Event) -> tuple[str, Fields]:
        """Return the record of a signature: that it was made as the office signs, or who left it out."""
        if event.name == pdf_signatures.LEFT_OUT:
            told_by = pdf_signatures.who_may_leave_out(due, self._roster, self.state.operator)
            told = event["told_by"]
            return event.name, {**due.fields, "told_by": told if told in told_by else told_by[0]}
        signing = self.state.signing.asked or {}
        made = {**due.fields, "by": signing.get("by")}
        if event.name == pdf_signatures.SIGNED and event["files"][0]["path"] != due.path:
            raise self._wrong(event, f"document_signed: the signed file is not {due.path}")
        return pdf_signatures.SIGNED, made

    def _due_at(self, gate: Gate, event: Event) -> str:
        """Return which record is due at a gate: of a paper, of one decision of two, or what settles it."""
        if event.name in _OF_PAPER:
            return event.name
        outcome = event.fields.get("outcome")
        settled = outcome not in gate.outcomes or gates.settles(self._sop, gate, outcome)
        return "decision_made" if settled else "vote_made"

    def _led_on(self, move: moves.Move, here: Fields) -> tuple[str, Fields]:  # noqa: PLR0911 - one per move
        """Return the record of a move that asks somebody, or leads away from the row or out of the run."""
        match move:
            case moves.AskForm():
                return "form_awaited", filled.awaited(self._sop, self.state)
            case moves.AskSignature(due):
                return "signature_awaited", due.fields
            case moves.FailStep(reason):
                return ("", {}) if self.state.failed else ("step_failed", {**here, "reason": reason})
            case moves.SpanOn(target):
                return "step_spanned", {**here, "until": self.state.step.span, "next": target}
            case moves.FinishStep(step, attempt, outcome, target):
                at = {"step": step, "attempt": attempt}
                return "step_finished", {**at, "outcome": outcome, "next": target}
            case moves.FinishRun(ending, step, reason):
                return "run_finished", {"outcome": ending, "step": step, "reason": reason}
            case _:
                return "", {}

    # Single records ------------------------------------------------------------------------------

    def _require_fields(self, event: Event, fields: Fields) -> None:
        for field, expected in fields.items():
            if event[field] != expected:
                raise self._wrong(
                    event, f"{event.name}: {field} is {_short(event[field])}, {_short(expected)} was due"
                )

    def _require_told(self, previous: Event, event: Event) -> None:
        if previous.name != "action_started":
            raise self._wrong(event, "action_finished without the action_started that announces it")
        self._require_fields(event, {key: previous[key] for key in ("step", "attempt", "part", "kind")})
        if sorted(event["hosts"]) != sorted(previous["hosts"]):
            raise self._wrong(event, "action_finished: tells of other hosts than were announced")
        bad = {host for host, status in event["hosts"].items() if status != "ok"}
        if not bad <= set(event["disturbed"]) <= set(event["hosts"]):
            raise self._wrong(
                event, "action_finished: the disturbed hosts are not those that came to no good"
            )
        folder = "evidence/{step}-{attempt}-{part}".format_map(event.fields)
        places = sorted(f"{folder}/{host}.json" for host in event["hosts"])
        if sorted(entry["path"] for entry in event["evidence"]) != places:
            raise self._wrong(event, f"action_finished: the evidence is not one file per host in {folder}/")

    def _require_comparison(self, part: Part, event: Event) -> None:
        """A reprobe is followed by what it found; that the evidence says so is for ``run_check`` to judge."""
        if event.name not in {"plan_confirmed", "plan_drifted"} or self.state.plan is None:
            raise self._wrong(
                event, f"{event.name} {_where(event.fields)} is out of order: the plan was to be compared"
            )
        here = {"step": self.state.current, "attempt": self.state.attempt, "part": part.name}
        self._require_fields(event, here)
        if not set(event["hosts"]) <= set(part.hosts):
            raise self._wrong(event, f"{event.name}: tells of hosts that are not of that part")
        if event.name == "plan_drifted":
            self._require_fields(event, {"to": self.state.plan.step})
            place = "plans/{step}-{attempt}-{part}.json".format_map(here)
            if event["differences"]["path"] != place:
                raise self._wrong(event, f"plan_drifted: the differences are not {place}")

    def _require_places(self, event: Event) -> None:
        at = event.fields
        if event.name == "plan_made":
            if event["path"] != f"plans/{at['step']}-{at['attempt']}.json":
                raise self._wrong(event, "plan_made: the plan is in another place")
            return
        if event.name == "repairs_proposed":
            self._require_proposal(event)
            return
        stem = f"documents/{at['step']:02d}-{at['attempt']}-{at['document']}-{at['version']}."
        if not all(
            p.startswith(stem) and "/" not in p[len(stem) :] for p in (e["path"] for e in at["files"])
        ):
            raise self._wrong(event, f"document_written: its files are not {stem}*")
        self._require_register(event)

    def _require_register(self, event: Event) -> None:
        """Require that the archive's register, as documents print it, never came less far than before."""
        known, now = self.state.register_head, Chain.model_validate(event["archive"])
        if now.records < known.records or (now.records == known.records and now != known):
            raise self._wrong(
                event, f"document_written: its register has {now.records} records, {known.records} were known"
            )

    def _require_proposal(self, event: Event) -> None:
        """Require that only looked-at hosts are to be cured; what may be is for ``run_check`` to judge."""
        if event["path"] != "plans/{step}-{attempt}-repairs.json".format_map(event.fields):
            raise self._wrong(event, "repairs_proposed: the proposal is in another place")
        looked = next(state for state in self.state.parts if state.part.kind == "propose")
        if not set(event["hosts"]) <= set(looked.part.hosts) - looked.not_ok:
            raise self._wrong(event, "repairs_proposed: names hosts on which nobody looked for disturbances")
        if event["allowed"] and not self._standing_for("cure"):
            raise self._wrong(event, "repairs_proposed: names allowed cures, but nobody signed for any")

    def _require_new_nonce(self, event: Event) -> None:
        if event["nonce"] in self._nonces:
            raise self._wrong(event, f"{event.name}: the nonce was used before")
        self._nonces.add(event["nonce"])

    def _require_filled(self, event: Event) -> None:
        """Require that a form was due, or due anew, and that somebody filled it in who might."""
        at = filled.due(self.state, next_move(self.state))
        if at is None:
            raise self._wrong(event, f"form_filled {_where(event.fields)} is out of order: no form was due")
        self._require_fields(event, at)
        step, who, day = self._sop.step(at["step"]), event["person"]["id"], self._roster.day(event.instant.at)
        fillers = filled.Fillers(self._sop, self._roster, self.state.operator, day)
        refused = fillers.refusal(step, who)
        if refused:
            raise self._wrong(event, f"form_filled: {refused}")
        self._require_fields(event, {"person": fillers.person(step, who)})
        stem = filled.folder_name(self.state, at["step"], at["attempt"])
        paths = [file["path"] for file in event["files"]]
        due = [{f"{stem}.json"}] + [
            {filled.attachment_name(stem, number, kind) for kind in SCAN_EXTENSIONS}
            for number in range(1, len(paths))
        ]
        if not all(path in places for path, places in zip(paths, due, strict=True)):
            raise self._wrong(event, f"form_filled: its files are not {stem}.json and {stem}-attachment-*")

    def _require_note(self, event: Event) -> None:
        wrong = reasons.misfit(self._sop, self._roster, self.state.operator, self._taken, event)
        if wrong:
            raise self._wrong(event, f"{event.name}: {wrong}")

    # Authority -----------------------------------------------------------------------------------

    def _require_signed(self, gate: Gate, event: Event) -> None:
        """Require that whoever signed might do so, then and when it was recorded, and signed just this."""
        said = self._said(event)
        due = Statements(self._sop, self._roster, self.state.run, self.state.operator)
        try:
            due.of_record(gate, event, event.instant.at)
            signed = due.of_record(gate, event, parse_utc(said["decided"]))
        except (errors.DecisionRefusedError, ValueError) as error:
            raise self._wrong(event, f"{event.name}: {error}") from error
        self._require_fields(event, signed.fields)
        path = gate.next_statement
        if (event["statement"]["path"], event["signature"]["path"]) != (path, f"{path}.sig"):
            raise self._wrong(event, f"{event.name}: statement and signature are not {path} and {path}.sig")
        places = {path.removesuffix(".json") + extension for extension in SCAN_EXTENSIONS}
        if "scan" in event.fields and event["scan"]["path"] not in places:
            raise self._wrong(event, f"{event.name}: the scan is not beside {path}")
        differing = [
            field for field in sorted({*signed.said, *said}) if [said.get(field)] != [signed.said.get(field)]
        ] or sorted(signed.said.keys() ^ said.keys())
        if differing:
            raise errors.VerificationError(path, f"does not fit the gate and the journal in {differing[0]!a}")
        if said["expires"] <= format_utc(event.instant.at):
            raise self._wrong(event, f"{event.name}: the statement had expired at {said['expires']}")
        if gates.has_closed(gate, self._taken, event.instant):
            raise self._wrong(event, f"{event.name}: the gate had closed at its deadline")

    def _require_time_to(self, move: moves.Move, event: Event) -> None:
        """Require of a record that only the clock calls for that it was time for it."""
        if event.name == "window_awaited":
            self._require_window_awaited(move, event)
        else:
            self._require_deadline(move, event)

    def _require_deadline(self, move: moves.Move, event: Event) -> None:
        due = None
        if isinstance(move, moves.AwaitDecision):
            due = gates.due_at_deadline(move.gate, self._taken, event.instant)
        if event.name != due:
            raise self._wrong(event, f"{event.name}: no deadline had passed")
        self._require_fields(event, {"step": self.state.current, "attempt": self.state.attempt})

    def _require_break(self, previous: Event, event: Event) -> None:
        path = f"decisions/break-{len(self.state.breaks) + 1}.json"
        if (event["statement"]["path"], event["signature"]["path"]) != (path, f"{path}.sig"):
            raise self._wrong(event, f"lock_broken: statement and signature are not {path} and {path}.sig")
        said, state, person = self._said(event), self.state, event["person"]
        official = self._roster.official(person["id"])
        at = parse_utc(said["decided"])
        refused = breaks.refusal(state, self._roster, person["id"], event["reason"], at)
        if refused or official is None:
            raise self._wrong(event, f"lock_broken: {refused}")
        self._require_fields(event, {"person": official.person()})
        expected = breaks.statement(
            state,
            official,
            sop_sha256=self._sop_sha256,
            head=previous.digest,
            reason=event["reason"],
            at=said["decided"],
        )
        self._require_says(path, said, expected)

    def _require_roster_change(self, previous: Event, event: Event) -> None:
        """Require that somebody of the roster before signed it who might; the new one holds from here."""
        number = len(self.state.roster_changes) + 1
        path, name = f"decisions/roster-{number}.json", moves.roster_name(number)
        places = {"statement": path, "signature": f"{path}.sig"}
        for field, place in {**places, "roster": f"{name}.json", "signers": f"{name}.signers"}.items():
            if event[field]["path"] != place:
                raise self._wrong(event, f"{event.name}: {field} is not {place}")
        said, person, reason = self._said(event), event["person"], event["reason"]
        signer, new = self._roster.official(person["id"]), self._changed_roster(event)
        proposal = rosters.Proposal(self.state, self._roster, new, previous.digest)
        moments = parse_utc(said["decided"]), event.instant.at
        refusals = [rosters.refusal(proposal, person["id"], reason, at) for at in moments]
        if any(refusals) or signer is None:
            raise self._wrong(event, f"{event.name}: {next(filter(None, refusals))}")
        self._require_fields(event, {"person": signer.person(), "changes": proposal.changes})
        given = {"sop_sha256": self._sop_sha256, "reason": reason, "at": said["decided"]}
        self._require_says(path, said, rosters.statement(proposal, signer, **given))
        if (event["nonce"] is None) != (self.state.gate is None):
            raise self._wrong(event, f"{event.name}: an open gate has a new nonce, and nothing else has one")
        if event["nonce"] is not None:
            self._require_new_nonce(event)
        self._roster = new

    def _changed_roster(self, event: Event) -> Roster:
        path, vouched_by = event["roster"]["path"], event["person"]["id"]
        data = self._statements[path]
        new = Roster.from_snapshot(data, path)
        if new.snapshot() != data or rosters.successor(self._roster, new, vouched_by) != new:
            raise errors.VerificationError(path, "is not a roster that follows the one before it")
        if sha256_hex(new.allowed_signers()) != event["signers"]["sha256"]:
            raise errors.VerificationError(event["signers"]["path"], f"does not hold the keys of {path}")
        return new

    @staticmethod
    def _require_says(path: str, said: Fields, expected: Fields) -> None:
        for field in sorted({*expected, *said}):
            if [said.get(field)] != [expected.get(field)]:
                raise errors.VerificationError(path, f"does not fit the run and the journal in {field!a}")

    def _said(self, made: Event) -> Fields:
        """Return what a signed statement says, once it is sure that it says it in one way only."""
        path = made["statement"]["path"]
        try:
            said: Fields = dict(parse_canonical(self._statements[path]))
            parse_utc(said["decided"])
        except (ValueError, KeyError, TypeError) as error:
            raise errors.VerificationError(path, "is not a statement in canonical JSON") from error
        return said

    def _require_start_of_action(self, part: Part, previous: Event, event: Event, *, changes: bool) -> None:
        begun = any(state.part == part and state.status == "started" for state in self.state.parts)
        if self.state.freed is not None:
            raise self._wrong(
                event, "action_started: the hosts were freed, and the run was not resumed since"
            )
        if begun and previous.name != "run_resumed":
            raise self._wrong(event, "action_started: announced again without the run being resumed")
        if changes:
            self._require_authority(part, previous, event)
        shut = window_closed(self.state, part, event.instant.at)
        if shut is not None:
            raise self._wrong(event, f"action_started: no change was to begin then: {shut.reason}")

    def _require_stop(self, event: Event) -> None:
        """A run may be stopped at any row, by anybody whom its roster names; by whom was not signed."""
        if self.state.finished or self.state.stopped or self.state.current == "end":
            raise self._wrong(event, "run_stopped: there was nothing left to stop")
        self._require_fields(event, {"step": self.state.current, "attempt": self.state.attempt})
        official = self._roster.official(event["person"]["id"])
        if official is None or official.person() != event["person"]:
            raise self._wrong(event, "run_stopped: by nobody of the roster")
        if not event["reason"].strip():
            raise self._wrong(event, "run_stopped: without a reason")

    def _require_window_awaited(self, move: moves.Move, event: Event) -> None:
        shut = (
            window_closed(self.state, move.part, event.instant.at) if isinstance(move, moves.DoPart) else None
        )
        if shut is None or not isinstance(move, moves.DoPart):
            raise self._wrong(event, "window_awaited: no change was held up then")
        here = {"step": self.state.current, "attempt": self.state.attempt, "part": move.part.name}
        opens = None if shut.opens is None else format_utc(shut.opens)
        self._require_fields(event, {**here, "opens": opens, "reason": shut.reason})

    def _require_authority(self, part: Part, previous: Event, event: Event) -> None:
        if self.state.plan is None and part.kind != "cure":
            raise self._wrong(event, "action_started: changes hosts, but there is no plan")
        standing = self._standing_for(part.kind)
        if not standing:
            raise self._wrong(event, "action_started: changes hosts, but nobody had decided on the plan")
        for made in standing.values():
            # The record before bounds the moment at which the engine looked at the clock.
            expired = self._has_expired(made, previous.instant)
            if expired and part.kind not in AFTER_CHANGE:
                raise self._wrong(event, f"action_started: the decision of row {made['step']} had expired")

    def _standing_for(self, kind: PartKind) -> Mapping[int, Event]:
        """Return the decisions on which a part of this kind may change hosts, by row."""
        action = self.state.step.action
        if kind != "cure":
            return gates.standing(self._sop, self.state)
        signed = cures.assignment(self.state, action.cures) if action and action.cures else None
        return {signed[1]["step"]: signed[1]} if signed else {}

    def _require_lapse(self, move: moves.Move, event: Event) -> None:
        due = isinstance(move, moves.DoPart) and (
            move.part.kind == "reprobe"
            or (moves.changes_hosts(move.part, self.state.step) and move.part.kind not in AFTER_CHANGE)
        )
        made = None
        if due and isinstance(move, moves.DoPart):
            made = self._standing_for(move.part.kind).get(event["step"])
        if made is None:
            raise self._wrong(event, "decision_lapsed: no change on that decision was due")
        if not self._has_expired(made, event.instant):
            raise self._wrong(event, "decision_lapsed: the decision had not expired")

    def _has_expired(self, made: Event, now: Instant) -> bool:
        """Tell whether one of the statements that make a decision had expired by then."""
        signed = gates.signed_for(self.state, made)
        return any(has_expired(one, self._said(one), self._taken, now) for one in signed)

    def _wrong(self, event: Event, problem: str) -> errors.VerificationError:
        return errors.VerificationError(f"{self._journal}:{event.seq}", display(problem))


def _part(part: Part) -> Fields:
    return {"part": part.name, "kind": part.kind, "hosts": list(part.hosts)}


def _where(fields: Fields) -> str:
    row = f"of row {fields['step']}" if "step" in fields else ""
    part = f", part {fields['part']}" if "part" in fields else ""
    return f"{row}{part}"


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON
    return display(canonical_json(value).decode().strip(), longest=_SHOWN)
