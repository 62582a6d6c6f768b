"""A made-up run of the Surakarta SOP, written by the product's own writers, for the tests of the documents.

Six hosts and what can happen to a host: web1 fails its tests and is rolled back, db1 is updated and
restarted, file1 is updated with one update kept back, web2 crashes after the update and cannot be taken back
whole, web3's package script fails and it is rolled back, pc06 is out of reach from the start.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner import evidence, record
from runner.canonical import canonical_json
from runner.checkpoint import EMPTY
from runner.clock import Instant
from runner.executors.base import Failure, HostResult, HostStatus
from runner.files import write_once
from runner.findings import is_disturbed
from runner.journal import Event, Journal
from runner.judges.base import at_most, finding, unmeasured
from runner.moves import Part
from runner.office_settings import OfficeLook
from runner.officials import Official, Roster
from runner.plan import ActsBy, hosts_to_change, make_plan
from runner.sop import parse_sop, sop_digest
from runner.trends import Trends
from runner.workspace import RunFolder

SOP = Path(__file__).parents[2] / "sops" / "surakarta-system-update.yml"
RUN = "2026-11-21-surakarta-system-update-1"
HOSTS = ["web1", "db1", "file1", "web2", "web3", "pc06"]


class SteppedClock:
    """A clock that a test turns forward."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.set_by = 0.0
        """By how much somebody set the wall clock."""
        self.boot = "boot"

    def now(self) -> Instant:
        at = datetime(2026, 11, 21, 1, 5, tzinfo=UTC) + timedelta(seconds=self.elapsed + self.set_by)
        return Instant(at, int(self.elapsed * 1e9), self.boot)


def _official(number: int, name: str, position: str) -> Official:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvcnRlc3Rz"
    ids = ("pengelola", "analis", "pranata", "kabid")
    return Official(id=ids[number - 1], name=name, nip=f"{number:018d}", positions=[position], key=key)


ROSTER = Roster(
    office="Dinas Contoh (lab)",
    operator="pengelola",
    officials=[
        _official(1, "Nama Pengelola", "Pengelola Sistem dan Jaringan"),
        _official(2, "Nama Analis", "Analis Sistem Informasi dan Jaringan"),
        _official(3, "Nama Pranata Komputer", "JF Pranata Komputer Ahli Muda"),
        _official(4, "Nama Kepala Bidang", "Kepala Bidang Teknologi dan Informatika"),
    ],
)


def update(package: str, cves: list[str] | None = None, **more: object) -> dict[str, Any]:
    """Return one pending update as the plan role publishes it."""
    return {
        "package": package,
        "source": package,
        "architecture": "all",
        "from": "1.0-1",
        "to": "1.0-1+deb12u1",
        "kind": "security",
        "origin": "Debian",
        "label": "Debian-Security",
        "codename": "bookworm",
        "cves": cves or [],
        "changelog": "read" if cves else "none named",
        "bytes": 2048,
        "reboot": False,
        **more,
    }


def checked(*findings: dict[str, Any]) -> dict[str, Any]:
    """Return what the role that checks computers publishes."""
    return {"kind": "computer", "facts": {"load": {"15": 0.1}}, "findings": list(findings)}


FULL = at_most("disk_space", "/var", 96.2, "%", 85, 95)
DEAD = finding("unit_failed", "cron.service", "warning")
CHECKED = {
    "web1": checked(at_most("memory", "", 40, "%", 90, 97), FULL, DEAD),
    "db1": checked(DEAD, unmeasured("certificate", "/etc/ssl/situs.pem", "not_there")),
    "file1": checked(at_most("memory", "", 40, "%", 90, 97)),
}

TOOL = update("lab-tool", kind="system", label="Debian")
GOOD = update("lab-good", ["CVE-2099-0001"])


def found(updates: list[dict[str, Any]], **more: object) -> dict[str, Any]:
    """Return what the plan role publishes for one host."""
    return {
        "os": {"name": "Debian GNU/Linux", "version": "12 (bookworm)", "kernel": "6.1.0-40-amd64"},
        "index": {"refreshed": True, "seconds": 1.2},
        "installed": 245,
        "updates": updates,
        "new_packages": [],
        "held": [],
        "kept_back": [],
        "antivirus": {
            "product": "ClamAV",
            "engine": "1.4.3",
            "database_on_disk": "1",
            "database_loaded": "1",
            "database_offered": "6",
            "update_pending": True,
        },
        "reboot": {"required_now": False, "expected": False, "because": []},
        "dpkg_audit": [],
        "free_bytes": 5_000_000_000,
        "needed_bytes": 40_000,
        **more,
    }


FOUND = {
    "web1": found([GOOD, update("lab-sick", ["CVE-2099-0002", "CVE-2099-0003"]), TOOL]),
    "db1": found(
        [
            GOOD,
            update("lab-reboot", ["CVE-2099-0004"], reboot=True),
            update(
                "postgresql-15",
                ["CVE-2099-1001", "CVE-2099-1002", "CVE-2099-1003"],
                **{"from": "15.8-0+deb12u1", "to": "15.14-0+deb12u1", "changelog": "read"},
            ),
            TOOL,
        ],
        reboot={"required_now": False, "expected": True, "because": ["lab-reboot"]},
    ),
    "file1": found(
        [GOOD, update("rsync", ["CVE-2099-2001"], **{"from": "3.2.7-1", "to": "3.2.7-1+deb12u2"}), TOOL],
        kept_back=[
            {
                "package": "lab-newdep",
                "from": "1.0-1",
                "to": "1.0-1+deb12u1",
                "reason": "needs new package lab-dep",
            },
            {"package": "nano", "from": "7.2-1", "to": "7.2-1+deb12u1", "reason": "held on the host"},
        ],
        new_packages=[{"package": "lab-dep", "to": "1.0-1", "needed_by": "lab-newdep"}],
        conffiles=[
            {"package": "rsync", "path": "/etc/default/rsync", "state": "changed"},
            {"package": "rsync", "path": "/etc/rsyncd.conf", "state": "changed", "choice": "new"},
        ],
        held=[{"package": "nano", "installed": "7.2-1", "candidate": "7.2-1+deb12u1"}],
    ),
    "web2": found([update("lab-crash", ["CVE-2099-0005"]), GOOD, TOOL]),
    "web3": found([GOOD, update("lab-postinst", ["CVE-2099-0006"]), TOOL], antivirus=None),
}


DUMPS = {
    "db1": [
        {"engine": "postgresql", "cluster": "15/main", "database": "", "bytes": 900},
        {"engine": "postgresql", "cluster": "15/main", "database": "layanan", "bytes": 8_400_000},
        {"engine": "mariadb", "cluster": "", "database": "kepegawaian", "bytes": 3_100},
    ]
}


def backed_up(host: str) -> dict[str, Any]:
    """Return what the backup role publishes."""
    return {
        "repository": f"rest:http://10.205.0.1:8810/{host}",
        "tool": "restic 0.14.0",
        "snapshot": hashlib.sha256(host.encode()).hexdigest(),
        "paths": ["/etc", "/var/lib/dpkg", "/srv"],
        "files": 1843,
        "bytes": 24_812_345,
        "seconds": 3.4,
        "package_states": {"packages": 245, "sha256": "0" * 64},
        "check": "ok",
        "restore_test": {"files": 20, "matched": 20, "seconds": 1.2},
        "databases": DUMPS.get(host, []),
        "databases_left_out": ["coba"] if host in DUMPS else [],
    }


def applied(host: str, **more: object) -> dict[str, Any]:
    """Return what the roles of the update publish for a host on which everything was installed."""
    changes = [{"package": u["package"], "from": u["from"], "to": u["to"]} for u in FOUND[host]["updates"]]
    reboot = host == "db1"
    results = {
        "apply_updates": {
            "changes": changes,
            "already": [],
            "refused": [],
            "outcome": "applied",
            "dpkg_audit": [],
            "configuration": ["/etc/lab-good.conf.rpmnew"] if host == "db1" else [],
            "seconds": 8.2,
            "log_tail": "",
        },
        "reboot_host": {
            "required": reboot,
            "approved": reboot,
            "rebooted": reboot,
            "boot_id_before": "a",
            "boot_id_after": "b",
            "seconds": 21.4 if reboot else 0,
            "because": ["lab-reboot"] if reboot else [],
        },
    }
    if FOUND[host]["antivirus"]:
        results["update_antivirus"] = {
            "product": "ClamAV",
            "before": {"on_disk": "1", "loaded": "1"},
            "after": {"on_disk": "6", "loaded": "6"},
            "changed": True,
            "seconds": 5.0,
        }
    return results | more


POSTINST_LOG = (
    "Setting up lab-postinst (1.0-1+deb12u1) ...\n"
    "dpkg: error processing package lab-postinst (--configure):\n"
    " installed lab-postinst package post-installation script subprocess returned error exit status 3\n"
    "E: Sub-process /usr/bin/dpkg returned an error code (1)"
)


def web3_failed() -> dict[str, Any]:
    """Return what the update published on the host whose package script fails."""
    results = applied("web3")
    results["apply_updates"] |= {
        "changes": [c for c in results["apply_updates"]["changes"] if c["package"] != "lab-tool"],
        "outcome": "failed",
        "dpkg_audit": ["lab-postinst: half-configured"],
        "log_tail": POSTINST_LOG,
    }
    del results["reboot_host"]
    return results


PACKAGES, SERVICES, PORTS, ADDRESSES = (
    "Versi paket sesuai dengan rencana yang disetujui.",
    "Semua layanan yang aktif sebelum pemutakhiran tetap aktif.",
    "Semua port yang terbuka sebelum pemutakhiran tetap terbuka.",
    "Semua alamat aplikasi menjawab seperti sebelum pemutakhiran.",
)
"""Titles of tests in tests/post_update, by which the suite tells of them."""
_TESTS = {
    "test_planned_versions_are_in_effect": PACKAGES,
    "test_services_active_before_are_active_now": SERVICES,
    "test_ports_listening_before_listen_now": PORTS,
    "test_addresses_answer_as_before": ADDRESSES,
}


def tested(*failing: tuple[str, str]) -> dict[str, Any]:
    """Return the result of the test suite, with the tests of these titles failing."""
    bad = dict(failing)
    tests = [
        {
            "name": name,
            "title": title,
            "outcome": "failed" if title in bad else "passed",
            "message": bad.get(title, ""),
        }
        for name, title in _TESTS.items()
    ]
    return {"verification": {"tests": tests, "passed": len(_TESTS) - len(bad), "failed": len(bad)}}


def rolled_back(host: str, not_undone: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """Return what the rollback role publishes."""
    kept = {item["package"] for item in not_undone or []}
    undone = [
        {"package": u["package"], "from": u["to"], "to": u["from"]}
        for u in FOUND[host]["updates"]
        if u["package"] not in kept
    ]
    return {
        "rollback_updates": {
            "changes": undone,
            "not_undone": not_undone or [],
            "dpkg_audit": [],
            "outcome": "incomplete" if not_undone else "rolled back",
            "seconds": 6.0,
        },
        "compare_baseline": {
            "rungs": [
                {"rung": "packages", "as_before": False, "different": ["tcp/8092 is closed"]},
                {"rung": "files", "as_before": True, "different": []},
            ]
        },
        "restore_files": {
            "recorded": True,
            "restored": ["/etc/contoh.conf"],
            "not_restored": [],
            "left": [
                {"path": "/etc/contoh.baru", "reason": "the update brought it, and it is not taken away"}
            ],
        },
    }


def results(
    items: dict[str, dict[str, Any]], bad: dict[str, tuple[HostStatus, str, str]]
) -> list[HostResult]:
    """Return host results; ``bad`` names the hosts that are not ok: status, task, message."""
    return [
        HostResult(
            host,
            bad[host][0] if host in bad else "ok",
            items.get(host, {}),
            Failure(bad[host][1], bad[host][2]) if host in bad else None,
        )
        for host in HOSTS
        if host in items or host in bad
    ]


@dataclass
class SampleRun:
    """Writes the run row by row; ``marks`` remembers after which event each document was due."""

    path: Path
    clock: SteppedClock = field(default_factory=SteppedClock)
    roster: Roster = ROSTER
    marks: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    zone: str = "Asia/Jakarta"
    trends: Trends = field(default_factory=Trends)
    look: OfficeLook = field(default_factory=OfficeLook)
    windows: dict[str, Any] | None = None
    hosts: list[str] = field(default_factory=lambda: HOSTS)

    def __post_init__(self) -> None:
        text = SOP.read_text(encoding="utf-8")
        self.folder = RunFolder(self.path / RUN)
        self.sop = parse_sop(text, SOP.name)
        self.digest = sop_digest(text)
        write_once(self.folder.sop, text.encode())
        write_once(self.folder.officials, self.roster.snapshot())
        write_once(self.folder.office, self.look.snapshot())
        write_once(self.folder.trends, self.trends.snapshot())
        self.journal = Journal(self.folder.journal, self.clock)

    def write(self, event: str, seconds: float = 1, **fields: object) -> Event:
        self.clock.elapsed += seconds
        with self.journal.lock():
            return self.journal.append(event, **fields)

    def start(self) -> None:
        self.write(
            "run_started",
            format=2,
            run=RUN,
            sop={"id": self.sop.id, "name": self.sop.identity.nama_sop, "sha256": self.digest},
            inventory={
                "path": "inventory/lab",
                "hosts": self.hosts,
                "groups": {"canary": self.hosts[:1]},
                "controllers": [],
            },
            office_sha256=hashlib.sha256(self.look.snapshot()).hexdigest(),
            trends_sha256=hashlib.sha256(self.trends.snapshot()).hexdigest(),
            number=1,
            officials_sha256=hashlib.sha256(self.roster.snapshot()).hexdigest(),
            operator=ROSTER.officials[0].person("Pengelola Sistem dan Jaringan"),
            assumptions=[a.model_dump() for a in self.sop.assumptions],
            timezone=self.zone,
            versions={},
            failure_budget="3",
            windows=self.windows,
            owed=[],
            owed_unread=[],
            signing=None,
        )
        self.begin(1, 1)
        self.end(1, 1, 2)

    def begin(self, step: int, attempt: int, parts: list[Part] | None = None) -> None:
        named = [{"name": p.name, "kind": p.kind, "hosts": list(p.hosts)} for p in parts or []]
        self.write("step_started", step=step, attempt=attempt, parts=named)

    def end(self, step: int, attempt: int, target: int | str | None, outcome: str | None = None) -> None:
        self.write("step_finished", step=step, attempt=attempt, outcome=outcome, next=target)

    def act(
        self,
        step: int,
        attempt: int,
        part: Part,
        seconds: float,
        done: list[HostResult],
        *,
        changes: bool = False,
    ) -> None:
        common = {"step": step, "attempt": attempt, "part": part.name, "kind": part.kind}
        self.write("action_started", **common, hosts=list(part.hosts), changes=changes)
        entries = evidence.write(self.folder, step, attempt, part, done)
        self.last_evidence = entries
        hosts = {r.host: r.status for r in done}
        disturbed = [r.host for r in done if is_disturbed(r.status, r.results)]
        self.write("action_finished", seconds, **common, hosts=hosts, disturbed=disturbed, evidence=entries)

    def document(self, step: int, attempt: int) -> None:
        """Note that the row's documents are due now, and journal them as the engine does."""
        for output in self.sop.step(step).documents:
            as_of = self.journal.events[-1].seq
            self.marks[str(output.document), output.version] = (step, attempt, as_of)
            self.write(
                "document_written",
                step=step,
                attempt=attempt,
                document=output.document,
                version=output.version,
                name=output.name,
                as_of=as_of,
                archive=EMPTY.model_dump(),
                files=[],
            )

    def decide(
        self, step: int, attempt: int, who: int, outcome: str, *, reason: str = "", waited: float = 600
    ) -> None:
        row = self.sop.step(step)
        (actor,) = self.sop.seats(row)
        position = self.sop.actors[actor]
        holders = self.roster.holders(position, self.roster.day(self.clock.now().at))
        self.write(
            "gate_opened",
            step=step,
            attempt=attempt,
            actor=actor,
            position=position,
            second=None,
            outcomes=list(self.sop.gate_outcomes(row)),
            deadline=None,
            subject=self._subject(),
            nonce="00",
            expires="2026-11-28T00:00:00.000000Z",
        )
        statement = hashlib.sha256(f"{step}-{attempt}-{outcome}".encode()).hexdigest()
        self.write(
            "decision_made",
            waited,
            step=step,
            attempt=attempt,
            outcome=outcome,
            reason=reason,
            conffiles={},
            paper=None,
            subject=self._subject(),
            nonce="00",
            person=next(h for h in holders if h.official == self.roster.officials[who]).person,
            statement={"path": f"decisions/{step}-{attempt}.json", "sha256": statement},
            signature={"path": f"decisions/{step}-{attempt}.json.sig", "sha256": statement},
        )

    def _subject(self) -> dict[str, str | None]:
        plans = [event["sha256"] for event in self.journal.events if event.name == "plan_made"]
        return {"sop": self.digest, "plan": plans[-1] if plans else None, "evidence": None}

    def check(
        self,
        attempt: int = 1,
        items: dict[str, dict[str, Any]] | None = None,
        bad: dict[str, tuple[HostStatus, str, str]] | None = None,
        checks: dict[str, dict[str, Any]] = CHECKED,
    ) -> None:
        """Row 2: the check, which makes the plan."""
        part = Part("1", "playbook", tuple(HOSTS))
        self.begin(2, attempt, [part])
        published = {
            host: {"plan_updates": plan, **({"check_host": checks[host]} if host in checks else {})}
            for host, plan in (items or FOUND).items()
        }
        unreachable = ("unreachable", "", "ssh: connect to host 10.205.0.16 port 22: No route to host")
        missing: Any = {host: unreachable for host in HOSTS if host not in published}
        self.act(2, attempt, part, 74, results(published, missing | (bad or {})))
        plan = make_plan(
            RUN, self.digest, ActsBy("0" * 64, {}), evidence.read(self.folder, self.last_evidence)
        )
        path = write_once(self.folder.plan(2, attempt), canonical_json(plan))
        self.write(
            "plan_made",
            step=2,
            attempt=attempt,
            path=self.folder.relative(path),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            hosts=hosts_to_change(plan),
            failure_budget=3,
        )
        self.document(2, attempt)
        self.end(2, attempt, 3)

    def gate(
        self, step: int, attempt: int, who: int, outcome: str, target: int | str, *, reason: str = ""
    ) -> None:
        """Do a row that is nothing but a decision of an official."""
        self.begin(step, attempt)
        self.decide(step, attempt, who, outcome, reason=reason)
        if not (isinstance(target, int) and target <= step):
            self.document(step, attempt)
        self.end(step, attempt, target, outcome)

    def order(self) -> None:
        """Rows 2 to 5: checked, sent back once, confirmed, ordered, monitoring begun."""
        self.check()
        self.gate(3, 1, 1, "belum", 2, reason="Host pc06 tidak terjangkau; mohon dicoba sekali lagi.")
        self.check(2)
        self.gate(3, 2, 1, "sesuai", 4)
        self.gate(4, 1, 3, "diperintahkan", 5, reason="Laksanakan di luar jam pelayanan.")
        self.begin(5, 1)
        self.write("step_spanned", step=5, attempt=1, until=8, next=6)

    def back_up(self, seconds: float = 41) -> None:
        """Row 6."""
        hosts = tuple(FOUND)
        part = Part("1", "playbook", hosts)
        self.begin(6, 1, [part])
        self.act(6, 1, part, seconds, results({h: {"back_up_host": backed_up(h)} for h in hosts}, {}))
        self.document(6, 1)
        self.end(6, 1, 7)

    def apply(self) -> None:
        """Row 7: the canary alone, then the rest."""
        waves = [Part("1", "playbook", ("web1",)), Part("2", "playbook", ("db1", "file1", "web2", "web3"))]
        check = Part("1-check", "check", ("web1",))
        self.begin(7, 1, [waves[0], check, waves[1]])
        self.act(7, 1, waves[0], 38, results({"web1": applied("web1")}, {}), changes=True)
        sick = (
            ADDRESSES,
            "alamat tidak menjawab semestinya: http://web1:8091/ menjawab 500 (sebelumnya 200)",
        )
        self.act(7, 1, check, 6, results({"web1": tested(sick)}, {"web1": ("failed", *sick)}))
        done = {host: applied(host) for host in ("db1", "file1", "web2")} | {"web3": web3_failed()}
        bad: Any = {
            "web3": (
                "failed",
                "Install the approved versions",
                "dpkg berakhir dengan galat pada lab-postinst",
            )
        }
        self.act(7, 1, waves[1], 95, results(done, bad), changes=True)
        self.document(7, 1)
        self.end(7, 1, 8)

    def verify(self) -> None:
        """Row 8: tests, rollback of what failed, tests again."""
        hosts = ("web1", "db1", "file1", "web2", "web3")
        part, failed = Part("1", "suite", hosts), ("web1", "web2", "web3")
        self.begin(8, 1, [part])
        sick = (
            ADDRESSES,
            "alamat tidak menjawab semestinya: http://web1:8091/ menjawab 500 (sebelumnya 200)",
        )
        crash = (SERVICES, "layanan tidak aktif: lab-crash.service")
        broken = (PACKAGES, "versi tidak sesuai: lab-postinst 2.0-1 (belum tuntas)")
        items = {h: tested() for h in ("db1", "file1")}
        items |= {"web1": tested(sick), "web2": tested(crash), "web3": tested(broken)}
        bad: Any = {"web1": ("failed", *sick), "web2": ("failed", *crash), "web3": ("failed", *broken)}
        self.act(8, 1, part, 22, results(items, bad))
        kept = [
            {
                "package": "lab-good",
                "reason": "the old version 1.0-1 is no longer offered by any source of the host",
            }
        ]
        undone = {"web1": rolled_back("web1"), "web2": rolled_back("web2", kept), "web3": rolled_back("web3")}
        self.act(8, 1, Part("recover", "recover", failed), 27, results(undone, {}), changes=True)
        retest = Part("retest", "retest", failed)
        self.act(8, 1, retest, 15, results({h: tested() for h in failed}, {}))
        self.decide(8, 1, 1, "disaksikan")
        self.document(8, 1)
        self.end(8, 1, 9, "tidak normal")
        self.end(5, 1, None)

    def report(self) -> None:
        """Rows 9 to 11: drafted, returned once, verified, ratified."""
        self.draft(1)
        self.gate(10, 1, 2, "perlu perbaikan", 9, reason="Tambahkan keterangan untuk web2.")
        self.draft(2)
        self.gate(10, 2, 2, "sesuai", 11)
        self.gate(11, 1, 3, "ditetapkan", 12)

    def draft(self, attempt: int) -> None:
        """Row 9."""
        self.begin(9, attempt)
        self.document(9, attempt)
        self.end(9, attempt, 10)

    def note_reason(self, step: int, reason: str, attempt: int = 1, who: int = 0) -> None:
        person = ROSTER.officials[who].person()
        self.write("reason_given", step=step, attempt=attempt, reason=reason, person=person)

    def note_condition(self, condition: str, reason: str = "", who: int = 0) -> None:
        person = ROSTER.officials[who].person()
        self.write("condition_told", condition=condition, reason=reason, person=person)

    def record(self) -> record.Record:
        """Return the run as the product reads it."""
        return record.load(self.folder)


def whole_run(
    path: Path, roster: Roster = ROSTER, look: OfficeLook | None = None, trends: Trends | None = None
) -> SampleRun:
    """Return the sample run, done up to the ratified report."""
    run = SampleRun(path, roster=roster, look=look or OfficeLook(), trends=trends or Trends())
    run.start()
    run.order()
    run.back_up()
    run.apply()
    run.verify()
    run.report()
    return run
