"""What an archive says of itself to whoever looks for it: ``metadata/arsip.json``. Pure rules.

All of it is taken from the run's own record, the office's classification and retention (JRA) included: they
are the ones that held when the run began. What the office had not said is empty, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from runner.journal import Event
from runner.sop import Sop

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_RETENTION = ("active_years", "inactive_years", "final", "basis")
EMPTY = {"classification": "", "security": "", "location": ""}


def description(
    sop: Sop, events: Sequence[Event], plans: Sequence[Mapping[str, Any]], archiving: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the description of a closed run.

    Args:
        sop: the SOP as executed.
        events: the whole journal.
        plans: every plan that the run made.
        archiving: what the office says of its archives (``archive`` of office.yml); empty when nothing.
    """
    started, last = events[0], events[-1]
    zone = ZoneInfo(started["timezone"])
    return {
        "format": 1,
        "run": started["run"],
        "number": started["number"],
        "office": started["office"],
        "timezone": started["timezone"],
        "sop": {"id": sop.id, "name": sop.identity.nama_sop, "unit": sop.identity.unit},
        "period": {"from": _day(started, zone), "to": _day(last, zone)},
        "outcome": last["outcome"],
        "hosts": sorted(started["inventory"]["hosts"]),
        "cves": sorted(_cves(plans)),
        "officials": _officials(events),
        "documents": _documents(events, zone),
        "archiving": {
            **{key: str(archiving.get(key) or "") for key in EMPTY},
            "retention": {key: archiving.get(key) for key in _RETENTION},
        },
    }


def folder_of(archiving: Mapping[str, Any]) -> str:
    """Return the folder that an archive's classification gives it, "" without one."""
    code = re.sub(r"[^A-Za-z0-9._-]+", "-", str(archiving.get("classification") or "")).strip("-.")
    return code if _FOLDER.fullmatch(code) else ""


def _day(event: Event, zone: ZoneInfo) -> str:
    return f"{event.instant.at.astimezone(zone):%Y-%m-%d}"


def _cves(plans: Sequence[Mapping[str, Any]]) -> set[str]:
    updates = (u for plan in plans for host in plan["hosts"].values() for u in host.get("updates", ()))
    return {str(cve) for update in updates for cve in update.get("cves", ())}


def _officials(events: Sequence[Event]) -> list[dict[str, str]]:
    """Return who operated, decided, confirmed or filled in, each person with his position once."""
    people = [events[0]["operator"]]
    for event in events:
        people += [
            event.fields[key] for key in ("person", "entered_by") if isinstance(event.fields.get(key), dict)
        ]
        paper = event.fields.get("paper")
        if isinstance(paper, dict):
            people.append(paper["confirmed_by"])
    found = {(p["id"], p["position"]): p for p in people}
    return [{key: found[at][key] for key in ("id", "name", "nip", "position")} for at in sorted(found)]


def _documents(events: Sequence[Event], zone: ZoneInfo) -> list[dict[str, str]]:
    """Return each document with the last of its files, which is the one to be read: the PDF."""
    return [
        {
            **{key: e[key] for key in ("document", "version", "name")},
            "date": _day(e, zone),
            **{key: e["files"][-1][key] for key in ("path", "sha256")},
        }
        for e in events
        if e.name == "document_written"
    ]
