"""The view of a run: what a document says, computed from the run's record. Pure but for reading its files.

``document_view`` looks at the record of a run and the journal up to one event, and at nothing else: no clock,
no machine, no other folder. The same record and event give the same view, now and in ten years. Nothing here
knows a row of any SOP: what a row means is read from the SOP (its decision, its documents, its action). The
SOP's wording is data and is passed on to the letter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from runner import drift, errors, filled, wording
from runner.checkpoint import EMPTY, Chain
from runner.clock import parse_utc
from runner.findings import Evidence
from runner.forms import rupiah_text
from runner.host_facts import HostFacts, host_facts
from runner.journal import Event
from runner.kinds import computers
from runner.moves import NO_LOOK
from runner.office_settings import number_of
from runner.owed import owed_hosts
from runner.pdf_signatures import SIGNED, place_of, rows_that_sign
from runner.procedure import procedure_of, standings
from runner.reasons import condition_told, reasons_given
from runner.record import Record
from runner.rosters import CHANGED
from runner.sop import TEST_AGAIN, Output, Sop, Step
from runner.timing import StepTime, elapsed, step_times
from runner.trends import Point, point_of
from runner.view import (
    AnsweredField,
    Approval,
    AttemptTime,
    ConditionTold,
    Cve,
    DecidedBefore,
    DecisionMade,
    Disturbance,
    DocumentView,
    Electronic,
    Ending,
    FilledForm,
    FreezeShown,
    HostGroup,
    Kind,
    KindCount,
    LockBreak,
    LogoShown,
    Look,
    OfficeShown,
    Owed,
    Paper,
    Person,
    PlanChange,
    PlanReference,
    ProposedRepair,
    RegisterHead,
    RosterChange,
    RosterDifference,
    RouterBackup,
    RowTime,
    Schedule,
    SharedFinding,
    SopBlock,
    Waited,
    WindowShown,
)
from runner.waves import in_natural_order
from runner.windows import Windows

_SIGNED = {"vote_made", "decision_made"}
_OF_PDF = {SIGNED, "document_written"}
_DRAFT, _FINAL = "draft", ("ratified", "final")
_WHOLE = "final"
"""The version of a document that never had another, but drafts."""


def document_view(  # noqa: PLR0917 - the engine's contract, see runner.report.build_document
    record: Record, document: str, version: str, step: int, attempt: int, as_of: int, head: Chain = EMPTY
) -> DocumentView:
    """Return what a document says about a run after the journal's event number ``as_of``.

    ``head`` is how far the archive's register had come then.

    Raises:
        InputError: when the run has no such event, or evidence has not the shape that documents know.
        VerificationError: when a file of the run is not what the journal says.
    """
    shown = RegisterHead(records=head.records, head=head.head)
    return _Builder(record, as_of).view(document, version, step, attempt, shown)


class _Builder:
    """Collects the parts of a view from the journal up to ``as_of``."""

    def __init__(self, record: Record, as_of: int) -> None:
        self.record, self.sop, self.as_of = record, record.sop, as_of
        self.events = record.at(as_of).events
        if not self.events or self.events[-1].seq != as_of:
            raise errors.InputError(f"the run's journal has no event {as_of}")
        self.begin = self.events[0]
        self.zone = ZoneInfo(self.begin["timezone"])
        self.plan_event = next((e for e in reversed(self.events) if e.name == "plan_made"), None)
        self.times = step_times(self.sop, self.events)
        self.reasons = reasons_given(self.events)

    def view(self, document: str, version: str, step: int, attempt: int, head: RegisterHead) -> DocumentView:
        row = self.sop.step(step)
        ending = self._ending()
        hosts = host_facts(self.events, self._evidence, self._not_planned())
        if ending:
            hosts = tuple(
                h.model_copy(update={"state": "unknown"}) if h.host in ending.silent else h for h in hosts
            )
        order = self._order(row)
        approvals = self._approvals(document)
        view = DocumentView(
            document=document,
            version=version,
            draft=self._is_draft(document, version),
            electronic=self._electronic(document, version),
            run=self.begin["run"],
            step=step,
            attempt=attempt,
            as_of=self.as_of,
            archive=head,
            made_at=_at(self.events[-1]),
            timezone=self.begin["timezone"],
            office=self.record.roster.office,
            number=self._number(document, version, step),
            look=self._shown(),
            started_at=_at(self.begin),
            sop=self._sop_block(),
            activity=row.kegiatan,
            position=self._position(row),
            outcome=self._outcome(row),
            operator=self._operator(),
            attendants=self._attendants(row),
            hosts=hosts,
            plan=self._plan(),
            decided_before=self._decided_before(),
            schedule=self._schedule(),
            order=order,
            order_outcomes=self._order_outcomes(order),
            decided_outcomes=self._decided_outcomes(),
            addressee=self._addressee(row),
            forwarded_to=self._forwarded_to(order),
            approvals=approvals,
            decisions=self._decisions(),
            breaks=tuple(_lock_break(event) for event in self.events if event.name == "lock_broken"),
            roster_changes=tuple(_roster_change(event) for event in self.events if event.name == CHANGED),
            rows=self._rows(),
            procedure=procedure_of(self.sop, standings(self.sop, self.times)),
            elapsed=elapsed(self.events),
            condition=self._condition(),
            kinds=_kinds(hosts),
            cves=_cves(hosts),
            owed=tuple(
                Owed(host=o.host, run=o.run, since=parse_utc(o.since).isoformat(), reason=o.reason)
                for o in owed_hosts(self.events)
            ),
            ending=ending,
            forms=self._forms(),
            looked_for=in_natural_order({host for host, _ in self._looks()}),
            disturbances=self._disturbances(),
            repairs=self._repairs(),
            repairs_unseen=self._repairs_unseen(),
            backup_tried=self._backup_tried(),
            router_backups=self._router_backups(),
        )
        return view.model_copy(update={"trend": self._trend(view)})

    def _trend(self, view: DocumentView) -> tuple[Point, ...]:
        earlier = self.record.trends
        if not earlier.points:
            return ()
        said = view.model_dump(mode="json", by_alias=True, include={"run", "made_at", "plan", "cves", "rows"})
        return (*earlier.points, point_of(said, view.hosts, earlier.seen()))

    def _number(self, document: str, version: str, step: int) -> str:
        if self._is_draft(document, version):
            return ""
        number = number_in_sop(self.sop, document, version, step)
        settings, made_at = self.record.look.settings, _at(self.events[-1])
        return number_of(settings, self.begin["number"], number, made_at, self.begin["timezone"])

    def _shown(self) -> OfficeShown:
        look = self.record.look
        head, settings = look.settings.letterhead, look.settings
        return OfficeShown(
            sha256=self.begin["office_sha256"],
            lines=tuple(head.lines) or (self.record.roster.office,),
            address=tuple(head.address),
            logos=tuple(LogoShown(name=p.name, sha256=p.sha256, address=p.address) for p in look.pictures),
            paper=settings.paper,
            font=settings.font,
            place=settings.place,
            archive=settings.archive,
        )

    def _operator(self) -> Person:
        """Return who operates the run, in those of his positions that the SOP knows."""
        person = Person(**self.begin["operator"])
        official = self.record.first_roster.official(person.id)
        known = [p for p in official.positions if p in self.sop.actors.values()] if official else []
        return person.model_copy(update={"position": ", ".join(known)}) if known else person

    def _forms(self) -> tuple[FilledForm, ...]:
        newest = {event["step"]: event for event in self.events if event.name == "form_filled"}
        return tuple(self._form(event) for _, event in sorted(newest.items()))

    def _form(self, event: Event) -> FilledForm:
        row, form = self.sop.step(event["step"]), self.sop.forms[event["form"]]
        signed = [d for d in self._decisions() if (d.step, d.attempt) == (row.no, event["attempt"])]
        return FilledForm(
            step=row.no,
            attempt=event["attempt"],
            activity=row.kegiatan,
            name=event["form"],
            title=form.title,
            person=Person(**event["person"]),
            filled_at=_at(event),
            fields=tuple(_answered(told) for told in filled.shown(form, self.record.form(event))),
            signed=signed[-1] if signed else None,
        )

    def _looks(self) -> list[tuple[str, Look]]:
        """Return each look at a host by a row that tells whether it is disturbed, in order."""
        rows = self.sop.looks
        told = [e for e in self.events if e.name == "action_finished" and e["step"] in rows]
        return [
            (found.host, _look(event, found))
            for event in told
            if event["kind"] not in NO_LOOK
            for found in map(self._evidence, event["evidence"])
        ]

    def _proposals(self) -> list[Event]:
        """Return the newest proposal of repairs of each row."""
        told = {event["step"]: event for event in self.events if event.name == "repairs_proposed"}
        return [event for _, event in sorted(told.items())]

    def _repairs(self) -> tuple[ProposedRepair, ...]:
        return tuple(line for event in self._proposals() for line in self._proposed(event))

    def _proposed(self, event: Event) -> Iterator[ProposedRepair]:
        begun = any(
            e.name == "action_started"
            and (e["step"], e["attempt"], e["kind"]) == (event["step"], event["attempt"], "cure")
            for e in self.events
        )
        done = {
            (told.host, cure.id): cure
            for told in self._found(event, "cure")
            for cure in (told.results.repair_host.cures if told.results.repair_host else ())
        }
        for told in self._found(event, "propose"):
            for repair in told.results.repair_host.repairs if told.results.repair_host else ():
                allowed = repair.cure in event["allowed"]
                cure = done.get((told.host, repair.id))
                yield ProposedRepair(
                    step=event["step"],
                    attempt=event["attempt"],
                    host=told.host,
                    repair=repair,
                    allowed=allowed,
                    done=cure,
                    silent=begun and allowed and cure is None,
                )

    def _repairs_unseen(self) -> tuple[str, ...]:
        found = [told for event in self._proposals() for told in self._found(event, "propose")]
        return tuple(told.host for told in found if told.status != "ok" or told.results.repair_host is None)

    def _found(self, event: Event, kind: str) -> list[Evidence]:
        """Return what the parts of a kind found in the attempt that an event is of."""
        own = event["step"], event["attempt"], kind
        told = [e for e in self.events if e.name == "action_finished"]
        told = [e for e in told if (e["step"], e["attempt"], e["kind"]) == own]
        return [self._evidence(entry) for each in told for entry in each["evidence"]]

    def _backed_up(self) -> list[Event]:
        rows = {row.no for row in self.sop.steps if row.action and row.action.backup}
        return [e for e in self.events if e.name == "action_finished" and e["step"] in rows]

    def _backup_tried(self) -> tuple[str, ...]:
        tried = {host for event in self._backed_up() for host in event["hosts"]}
        return in_natural_order(computers(tried, self.begin["inventory"]["groups"]))

    def _router_backups(self) -> tuple[RouterBackup, ...]:
        routers = set(self.begin["inventory"]["groups"].get("routerboards", ()))
        told = [self._evidence(entry) for event in self._backed_up() for entry in event["evidence"]]
        newest = {found.host: found for found in told if found.host in routers}
        return tuple(_router_backup(newest[host]) for host in in_natural_order(newest))

    def _disturbances(self) -> tuple[Disturbance, ...]:
        looks: dict[str, list[Look]] = {}
        for host, look in self._looks():
            looks.setdefault(host, []).append(look)
        found = []
        for host in in_natural_order(looks):
            disturbed = [look for look in looks[host] if _is_disturbed(look)]
            if disturbed:
                last = looks[host][-1]
                is_resolved = not _is_disturbed(last)
                found.append(Disturbance(host=host, first=disturbed[0], last=last, is_resolved=is_resolved))
        return tuple(found)

    def _ending(self) -> Ending | None:
        """Return how the run ended, once it has before its last row."""
        stop = next((e for e in reversed(self.events) if e.name in {"run_stopped", "gate_closed"}), None)
        if stop:
            person = Person(**stop["person"]) if stop.name == "run_stopped" else None
            how: Literal["stopped", "closed"] = "stopped" if person else "closed"
            return self._ended(stop, how, person, stop["reason"])
        last = next((e for e in reversed(self.events) if e.name == "step_finished"), None)
        if last is None or last["next"] != "end" or last["outcome"] is None:
            return None
        decision = self.sop.step(last["step"]).decision
        exit_ = decision.outcome(last["outcome"]) if decision else None
        if decision is None or exit_ is None or exit_.when == "ok" or exit_.completes:
            return None
        made = next((d for d in reversed(self._decisions()) if d.step == last["step"]), None)
        if decision.by == "official" and made:
            return self._ended(last, "refused", made.person, made.reason)
        return self._ended(last, "failed", None, last["outcome"])

    def _ended(
        self,
        event: Event,
        how: Literal["stopped", "refused", "closed", "failed"],
        person: Person | None,
        reason: str,
    ) -> Ending:
        told = {(e["step"], e["attempt"], e["part"]) for e in self.events if e.name == "action_finished"}
        silent = {
            host
            for e in self.events
            if e.name == "action_started"
            and e["changes"]
            and (e["step"], e["attempt"], e["part"]) not in told
            for host in e["hosts"]
        }
        return Ending(
            how=how,
            step=event["step"],
            activity=self.sop.step(event["step"]).kegiatan,
            at=_at(event),
            person=person,
            reason=reason,
            silent=in_natural_order(silent),
        )

    def _evidence(self, entry: dict[str, str]) -> Evidence:
        path = entry["path"]
        try:
            return Evidence.model_validate_json(self.record.folder.read(entry))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise errors.InputError(
                f"{path}: {where}: {first['msg']}",
                hint="the role that wrote this evidence does not fit this version of the documents",
            ) from error

    def _not_planned(self) -> dict[str, str]:
        if self.plan_event is None:
            return {}
        plan = json.loads(self.record.folder.read(self.plan_event.fields))
        return dict(plan.get("not_planned", {}))

    def _decided_before(self) -> DecidedBefore | None:
        now = self.record.at(self.as_of)
        if now.decided_before is None or now.plan is None:
            return None
        old, made = now.decided_before
        differing = drift.of_plans(old, now.plan).items()
        changes = tuple(change for host, told in differing for change in _plan_changes(host, told))
        return DecidedBefore(decision=self._decision(made), changes=changes)

    def _plan(self) -> PlanReference | None:
        event = self.plan_event
        if event is None:
            return None
        return PlanReference(path=event["path"], sha256=event["sha256"], made_at=_at(event))

    def _sop_block(self) -> SopBlock:
        identity = self.sop.identity
        return SopBlock(
            id=self.sop.id,
            name=identity.nama_sop,
            unit=identity.unit,
            number=identity.nomor_sop or "",
            sha256=self.begin["sop"]["sha256"],
            legal_basis=tuple(identity.dasar_hukum),
        )

    def _position(self, row: Step) -> str:
        return self.sop.actors[row.pelaksana] if row.pelaksana else ""

    def _is_draft(self, document: str, version: str) -> bool:
        """A version is a draft while the SOP has a later one of the same document."""
        if version in _FINAL or self._electronic(document, version):
            return False
        versions = {output.version for row in self.sop.steps for output in self._outputs(row, document)}
        return version == _DRAFT or bool(versions & set(_FINAL))

    def _electronic(self, document: str, version: str) -> Electronic:
        """A document is signed as PDF from the first version on that is signed; later ones are copies."""
        signing = self.begin["signing"]
        rows = rows_that_sign(self.sop, document, signing["versions"]) if signing else []
        row = next((row for row, output in rows if output.version == version), None)
        if row is None or self._in_ink(row):
            return ""
        about = [e for e in self.events if e.name in _OF_PDF and e["document"] == document]
        made = [e for e in about if e.name == SIGNED or e["version"] != version]
        return "copy" if made and made[-1].name == SIGNED and version in _FINAL else "signed"

    def _in_ink(self, row: Step) -> bool:
        """Tell whether everybody who decided at the row did so on paper."""
        begun = [e["attempt"] for e in self.events if e.name == "step_started" and e["step"] == row.no]
        at = row.no, max(begun, default=0)
        made = [e for e in self.events if e.name in _SIGNED and (e["step"], e["attempt"]) == at]
        return bool(made) and all(e["paper"] is not None for e in made)

    @staticmethod
    def _outputs(row: Step, document: str) -> list[Output]:
        return [output for output in row.documents if output.document == document]

    def _attendants(self, row: Step) -> tuple[Person, ...]:
        """Return who took part beside the row's actor: who signed that, or who holds the position."""
        if row.bersama is None:
            return ()
        roster, position = self.record.roster, self.sop.actors[row.bersama]
        signed = [e for e in self.events if e.name in _SIGNED and e["step"] == row.no]
        if signed and self.sop.seats(row) == (row.bersama,):
            return (Person(**signed[-1]["person"]),)
        day = roster.day(self.events[-1].instant.at)
        return tuple(Person(**holder.person) for holder in roster.holders(position, day))

    def _outcome(self, row: Step) -> str:
        """Return the outcome of the row: the official's decision, or what the results come to."""
        if row.decision is None:
            return ""
        if row.decision.by == "official":
            made = next((d for d in reversed(self._decisions()) if d.step == row.no), None)
            return made.outcome if made else ""
        results = self._last_results(row.decision.of or row.no)
        wanted = "ok" if results and not any(results) else "failed"
        return next(outcome.name for outcome in row.decision.outcomes if outcome.when == wanted)

    def _last_results(self, step: int) -> list[bool]:
        """Return for each host of the row's own action, in its newest attempt, whether it is not well."""
        finished = [e for e in self.events if e.name == "action_finished" and e["step"] == step]
        newest = max((event["attempt"] for event in finished), default=0)
        own = [e for e in finished if e["attempt"] == newest and e["kind"] in {"playbook", "suite"}]
        told = [(h, status != "ok" or h in e["disturbed"]) for e in own for h, status in e["hosts"].items()]
        action = self.sop.step(step).action
        # Where a row cures it looks more than once: how each host was when it was looked at last.
        return list(dict(told).values()) if action and action.cures else [wrong for _, wrong in told]

    def _decisions(self) -> tuple[DecisionMade, ...]:
        return tuple(self._decision(event) for event in self.events if event.name in _SIGNED)

    def _decision(self, event: Event) -> DecisionMade:
        row = self.sop.step(event["step"])
        opened = next(
            e
            for e in reversed(self.events)
            if e.name == "gate_opened" and (e["step"], e["attempt"]) == (event["step"], event["attempt"])
        )
        return DecisionMade(
            step=row.no,
            attempt=event["attempt"],
            activity=row.kegiatan,
            outcome=event["outcome"],
            back=self._goes_back(row, event["outcome"]),
            reason=event["reason"],
            person=Person(**event["person"]),
            asked_at=_at(opened),
            decided_at=_at(event),
            statement_sha256=event["statement"]["sha256"],
            together_with=self._together_with(event),
            paper=_paper(event),
            unresolved=self._leaves_unresolved(row, event["outcome"]),
        )

    @staticmethod
    def _leaves_unresolved(row: Step, outcome: str) -> bool:
        by_official = row.decision is not None and row.decision.by == "official"
        return bool(by_official and row.decision and row.decision.outcome(outcome).unresolved)

    def _together_with(self, made: Event) -> tuple[Person, ...]:
        """Return who decided the same at this gate before, where two decide together."""
        at = made["step"], made["attempt"], made["outcome"]
        voted = [e for e in self.events if e.name == "vote_made" and e.seq < made.seq]
        return tuple(Person(**e["person"]) for e in voted if (e["step"], e["attempt"], e["outcome"]) == at)

    def _goes_back(self, row: Step, outcome: str) -> bool:
        if row.decision is None or row.decision.by == "result":
            return outcome == TEST_AGAIN
        return self.sop.goes_back(row, row.decision.outcome(outcome).next)

    def _order(self, row: Step) -> DecisionMade | None:
        """Return the decision that orders the change: at the last gate before the row that changes hosts.

        A SOP that changes nothing has its order where the document is written.
        """
        gates = [r.no for r in self.sop.steps if r.decision and r.decision.by == "official"]
        changing = next((r.no for r in self.sop.steps if r.action and r.action.changes), None)
        ordering = max((no for no in gates if changing and no < changing), default=row.no)
        return next((made for made in reversed(self._decisions()) if made.step == ordering), None)

    def _order_outcomes(self, order: DecisionMade | None) -> tuple[str, ...]:
        decision = self.sop.step(order.step).decision if order else None
        return tuple(outcome.name for outcome in decision.outcomes) if decision else ()

    def _decided_outcomes(self) -> tuple[str, ...]:
        with_form = {event["step"] for event in self.events if event.name == "form_filled"}
        return self._order_outcomes(
            next((d for d in reversed(self._decisions()) if d.step not in with_form), None)
        )

    def _addressee(self, row: Step) -> str:
        later = (r for r in self.sop.steps if r.no > row.no and r.decision and r.decision.by == "official")
        decides = next(later, None)
        return self._position(decides) if decides else ""

    def _forwarded_to(self, order: DecisionMade | None) -> tuple[str, ...]:
        """Return the positions of the rows that the order sets going: up to the next decision."""
        positions: list[str] = []
        row = self.sop.step(order.step) if order else None
        target = row.decision.outcome(order.outcome).next if row and row.decision and order else None
        while isinstance(target, int):
            row = self.sop.step(target)
            if row.decision or len(positions) > len(self.sop.steps):
                break
            positions.append(self._position(row))
            target = row.next
        return tuple(dict.fromkeys(position for position in positions if position))

    def _approvals(self, document: str) -> tuple[Approval, ...]:
        """Return the places at which this document is approved; a new draft empties them."""
        drafted = 0
        places: list[tuple[Step, str, int, str]] = []
        for row in self.sop.steps:
            for output in self._outputs(row, document):
                if row.decision and row.decision.by == "official":
                    seats = enumerate(self.sop.seats(row), start=1)
                    places += [(row, output.version, seat, actor) for seat, actor in seats]
                else:
                    drafted = max(drafted, self._newest_start(row.no))
        return tuple(
            Approval(
                step=row.no,
                activity=row.kegiatan,
                position=self.sop.actors[actor],
                version=version,
                place=place_of(row.no, seat),
                decision=self._decision_since(row.no, drafted, self.sop.actors[actor]),
            )
            for row, version, seat, actor in places
        )

    def _newest_start(self, step: int) -> int:
        return max((e.seq for e in self.events if e.name == "step_started" and e["step"] == step), default=0)

    def _decision_since(self, step: int, since: int, position: str) -> DecisionMade | None:
        signed = [e for e in self.events if e.name in _SIGNED and e["step"] == step and e.seq > since]
        made = [e for e in signed if e["person"]["position"] == position]
        return self._decision(made[-1]) if made else None

    def _rows(self) -> tuple[RowTime, ...]:
        return tuple(self._row_time(row) for row in self.sop.steps if row.pelaksana)

    def _row_time(self, row: Step) -> RowTime:
        own = [time for time in self.times if time.step == row.no]
        return RowTime(
            no=row.no,
            activity=row.kegiatan,
            position=self._position(row),
            standard=row.waktu or "",
            standard_seconds=row.standard_seconds,
            attempts=len(own),
            work=_rounded(time.work for time in own),
            waiting=_rounded(time.waiting for time in own),
            over=_rounded(time.over for time in own),
            started_at=own[0].started.at.isoformat() if own else "",
            ended_at=own[-1].finished.at.isoformat() if own and own[-1].finished else "",
            state=_row_state(own),
            outcome=self._outcome(row) if own else "",
            span=row.span,
            tries=tuple(self._attempt_time(row, time) for time in own),
        )

    def _attempt_time(self, row: Step, time: StepTime) -> AttemptTime:
        told = self.reasons.get((time.step, time.attempt))
        return AttemptTime(
            attempt=time.attempt,
            started_at=time.started.at.isoformat(),
            ended_at=time.finished.at.isoformat() if time.finished else "",
            measured=time.total,
            work=time.work,
            waiting=time.waiting,
            waits=tuple(Waited(on=w.on, position=w.position, seconds=w.seconds) for w in time.waits),
            deviation=time.deviation,
            over=time.over,
            reason=told["reason"] if told else "",
            reason_by=Person(**told["person"]) if told else None,
            outcome=self._attempt_outcome(row, time.attempt),
            shifts=time.shifts,
            reboots=time.reboots,
        )

    def _attempt_outcome(self, row: Step, attempt: int) -> str:
        """Return how the attempt was left; the row that is just being done is left by what it comes to."""
        # A witness's word is no outcome of the row.
        by_official = row.decision is not None and row.decision.by == "official"
        names = {"decision_made", "step_finished"} if by_official else {"step_finished"}
        ends = [e["outcome"] for e in self.events if e.name in names and self._is_of(e, row, attempt)]
        newest = max((time.attempt for time in self.times if time.step == row.no), default=0)
        return next((outcome for outcome in ends if outcome), self._outcome(row) if attempt == newest else "")

    @staticmethod
    def _is_of(event: Event, row: Step, attempt: int) -> bool:
        return (event["step"], event["attempt"]) == (row.no, attempt)

    def _condition(self) -> ConditionTold | None:
        told = condition_told(self.events)
        if told is None:
            return None
        person = Person(**told["person"])
        return ConditionTold(condition=told["condition"], reason=told["reason"], person=person)

    def _schedule(self) -> Schedule | None:
        """Return when the row that makes the plan was done, and when its note says it is due again."""
        row = next((row for row in self.sop.steps if row.action and row.action.plan), None)
        mine = [e for e in self.events if row and e.fields.get("step") == row.no]
        started = [event for event in mine if event.name == "action_started"]
        ended = [event for event in mine if event.name == "action_finished"]
        if row is None or not started or not ended:
            return None
        note = row.keterangan or ""
        begun = started[-1].instant.at.astimezone(self.zone)
        return Schedule(
            started_at=_at(started[-1]),
            ended_at=_at(ended[-1]),
            due_at=wording.month_later(begun).isoformat() if "setiap bulan" in note else "",
            standard=row.waktu or "",
            note=note,
            position=self._position(row),
            groups=self._groups(),
            windows=_windows(self.begin["windows"]),
            freezes=_freezes(self.begin["windows"]),
        )

    def _groups(self) -> tuple[HostGroup, ...]:
        told = self.begin["inventory"]
        groups = {name: hosts for name, hosts in sorted(told["groups"].items()) if hosts}
        alone = set(told["hosts"]) - {host for hosts in groups.values() for host in hosts}
        found = [HostGroup(name=name, hosts=in_natural_order(hosts)) for name, hosts in groups.items()]
        return (*found, *([HostGroup(name="", hosts=in_natural_order(alone))] if alone else []))


def _windows(recorded: Mapping[str, Any] | None) -> tuple[WindowShown, ...]:
    windows = Windows.model_validate(recorded or {}).windows or []
    return tuple(WindowShown(days=w.day_numbers, from_=w.from_, until=w.until) for w in windows)


def _freezes(recorded: Mapping[str, Any] | None) -> tuple[FreezeShown, ...]:
    freezes = Windows.model_validate(recorded or {}).freeze
    return tuple(FreezeShown(from_=f.from_, until=f.until, reason=f.reason) for f in freezes)


def _answered(told: filled.Answered) -> AnsweredField:
    head, *rows = told.table or ((),)
    total = "" if told.total is None else rupiah_text(told.total)
    lines = () if told.table else told.lines
    return AnsweredField(
        label=told.label, lines=lines, head=head, rows=tuple(rows), total=total, files=told.files
    )


def _look(event: Event, found: Evidence) -> Look:
    check = found.results.check if found.status == "ok" else None
    disturbing = check.disturbing if check else ()
    return Look(
        step=event["step"],
        at=_at(event),
        status=found.status,
        message=found.failure.message if found.failure else "",
        findings=tuple(SharedFinding(kind=check.kind, finding=f, hosts=()) for f in disturbing)
        if check
        else (),
    )


def _router_backup(found: Evidence) -> RouterBackup:
    return RouterBackup(
        host=found.host,
        status=found.status,
        kept=found.results.back_up_routerboard if found.status == "ok" else None,
        message=found.failure.message if found.failure else "",
    )


def _is_disturbed(look: Look) -> bool:
    return look.status != "ok" or bool(look.findings)


def _paper(made: Event) -> Paper | None:
    told = made["paper"]
    if told is None:
        return None
    entered, confirmed = Person(**told["entered_by"]), Person(**told["confirmed_by"])
    return Paper(date=told["date"], scan=told["scan"], entered_by=entered, confirmed_by=confirmed)


def _lock_break(event: Event) -> LockBreak:
    return LockBreak(
        person=Person(**event["person"]),
        reason=event["reason"],
        at=_at(event),
        statement_sha256=event["statement"]["sha256"],
    )


def _roster_change(event: Event) -> RosterChange:
    return RosterChange(
        person=Person(**event["person"]),
        reason=event["reason"],
        at=_at(event),
        statement_sha256=event["statement"]["sha256"],
        differences=tuple(RosterDifference(**change) for change in event["changes"]),
    )


def _at(event: Event) -> str:
    return event.instant.at.isoformat()


def number_in_sop(sop: Sop, document: str, version: str, step: int) -> int:
    """Return the number of a row's document within its SOP, from 1.

    Versions of one document have one number, drafts none. What is made anew in another row has its own, and a
    report of a run that was stopped, which stands in no row, the one after all others.
    """
    made = [(o.document, o.version, row.no) for row in sop.steps for o in row.documents]
    order = list(dict.fromkeys(_numbered(*output) for output in made if output[1] != _DRAFT))
    wanted = _numbered(document, version, step)
    return order.index(wanted) + 1 if wanted in order else len(order) + 1


def _numbered(document: str | None, version: str, step: int) -> tuple[str | None, int]:
    return document, step if version == _WHOLE else 0


def _rounded(seconds: Iterable[float]) -> float:
    return round(sum(seconds), 1)


def _row_state(times: list[StepTime]) -> str:
    if not times:
        return "not_reached"
    return "done" if times[-1].finished else "under_way"


def _plan_changes(host: str, told: drift.Difference | str) -> Iterator[PlanChange]:
    if isinstance(told, str):
        left_out = told.partition(": ")[2]
        yield PlanChange(host=host, what="left_out" if left_out else "added", now=left_out)
        return
    for update in told["appeared"]:
        yield PlanChange(host=host, what="appeared", package=update["package"], now=_versions(update))
    for update in told["gone"]:
        yield PlanChange(host=host, what="gone", package=update["package"], before=_versions(update))
    for item in told["changed"]:
        before, now = _versions(item["approved"]), _versions(item["found"])
        yield PlanChange(host=host, what="changed", package=item["package"], before=before, now=now)
    if come := told["new_packages"]:
        before, now = (", ".join(come[key]) for key in ("approved", "found"))
        yield PlanChange(host=host, what="new_packages", before=before, now=now)
    if go := told["removals"]:
        before, now = (", ".join(one[:8] for one in go[key]) for key in ("approved", "found"))
        yield PlanChange(host=host, what="removals", before=before, now=now)
    if told["reboot"]:
        yield PlanChange(host=host, what="reboot")


def _versions(update: Mapping[str, str]) -> str:
    return f"{update['from'] or '-'} \N{RIGHTWARDS ARROW} {update['to']}"


def _kinds(hosts: tuple[HostFacts, ...]) -> tuple[KindCount, ...]:
    planned = [update.kind for host in hosts if host.plan for update in host.plan.updates]
    effective = [update.kind for host in hosts for update in host.in_effect]
    order: tuple[Kind, ...] = ("security", "system", "antivirus")
    return tuple(KindCount(kind=k, planned=planned.count(k), in_effect=effective.count(k)) for k in order)


def _cves(hosts: tuple[HostFacts, ...]) -> tuple[Cve, ...]:
    packages: dict[str, set[str]] = {}
    closed: dict[str, set[str]] = {}
    remaining: dict[str, set[str]] = {}
    for host in hosts:
        # Only a tested host closes a vulnerability for sure.
        effective = set(host.in_effect) if host.state == "updated" else set()
        for update in host.plan.updates if host.plan else ():
            for cve in update.cves:
                packages.setdefault(cve, set()).add(update.package)
                where = closed if update in effective else remaining
                where.setdefault(cve, set()).add(host.host)
    return tuple(
        Cve(
            id=cve,
            packages=tuple(sorted(names)),
            closed_on=in_natural_order(closed.get(cve, set()) - remaining.get(cve, set())),
            open_on=in_natural_order(remaining.get(cve, set())),
        )
        for cve, names in sorted(packages.items())
    )
