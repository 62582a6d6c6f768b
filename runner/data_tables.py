"""A document's hosts as tables for a spreadsheet (CSV), attached to its PDF: every host, however many.

Semicolons and a byte-order mark, as a spreadsheet set to Indonesian opens them; commas in English. Text from
hosts is written out by ``display`` and can begin no formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from runner.display import cell
from runner.host_facts import HostFacts
from runner.language import _, is_original
from runner.view import DocumentView

HOSTS, UPDATES = "host.csv", "pemutakhiran.csv"
_STATES = {
    "updated": "diperbarui",
    "rolled_back": "dikembalikan",
    "failed": "gagal",
    "unknown": "tidak diketahui",
    "untested": "belum diuji",
    "not_done": "tidak dikerjakan",
    "current": "sudah mutakhir",
}
_NOW = {"in_effect": "berlaku", "undone": "dikembalikan", "unknown": "tidak diketahui", "not_done": "tidak"}


def tables(view: DocumentView) -> tuple[tuple[str, bytes], ...]:
    """Return (name of the file, CSV in UTF-8) of the hosts and, where some are planned, of their updates."""
    found = [(_(HOSTS), _csv(_HOST_HEAD, map(_host, view.hosts)))]
    updates = list(_updates(view.hosts))
    if updates:
        found.append((_(UPDATES), _csv(_UPDATE_HEAD, updates)))
    return tuple(found)


_HOST_HEAD = (
    "host",
    "hasil",
    "direncanakan",
    "berlaku",
    "uji lulus",
    "uji gagal",
    "backup teruji",
    "temuan kritis",
    "peringatan",
    "keterangan",
)
_UPDATE_HEAD = ("host", "paket", "versi semula", "versi rencana", "jenis", "CVE", "sekarang")


def _host(host: HostFacts) -> Iterable[str | int]:
    last = host.retest or host.tests
    severities = [found.severity for found in host.check.findings] if host.check else []
    why = host.failures[-1].message if host.failures else host.unplanned_because or host.skipped_because
    return (
        host.host,
        _(_STATES[host.state]),
        len(host.plan.updates) if host.plan else "",
        len(host.in_effect) if host.plan else "",
        last.passed if last else "",
        last.failed if last else "",
        _("ya") if host.is_backed_up else _("tidak"),
        severities.count("critical") if host.check else "",
        severities.count("warning") if host.check else "",
        why or "",
    )


def _updates(hosts: Iterable[HostFacts]) -> Iterator[Iterable[str | int]]:
    for host in hosts:
        for update in host.plan.updates if host.plan else ():
            now = _(_NOW[host.now(update)])
            cves = " ".join(update.cves)
            yield host.host, update.package, update.from_, update.to, update.kind, cves, now


def _csv(head: Iterable[str], rows: Iterable[Iterable[str | int]]) -> bytes:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=";" if is_original() else ",", lineterminator="\r\n")
    writer.writerow(map(_, head))
    writer.writerows([cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    return written.getvalue().encode("utf-8-sig")
