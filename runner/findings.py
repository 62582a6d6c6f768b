"""What the roles and the tests found and did on a host, as read from evidence.

The shapes are those that the roles publish. Values come from managed hosts: they are checked for type here
and escaped where they are shown. Keys that this version does not know are left out, so that a newer role does
not stop an older document.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from runner.checks import Check
from runner.repairs import RepairHost


class Finding(BaseModel):
    """Base of all findings: frozen, tolerant of further keys, written with the names of the evidence."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )


class OperatingSystem(Finding):
    """The system a host runs."""

    name: str
    version: str
    kernel: str


class Update(Finding):
    """One package that can be brought from one version to another."""

    package: str
    from_: str = Field(alias="from")
    to: str
    kind: Literal["security", "system", "antivirus"]
    origin: str = ""
    label: str = ""
    codename: str = ""
    cves: tuple[str, ...] = ()
    changelog: str = ""
    bytes: int = 0
    reboot: bool = False


class NewPackage(Finding):
    """A package that an update would bring in."""

    package: str
    to: str
    needed_by: str = ""


class Held(Finding):
    """A package that somebody told the package manager to leave alone."""

    package: str
    installed: str
    candidate: str


class KeptBack(Finding):
    """An update that cannot be installed by itself."""

    package: str
    from_: str = Field(alias="from")
    to: str
    reason: str


class Conffile(Finding):
    """A configuration file of a package to be updated that was changed on the host: kept, or replaced."""

    package: str
    path: str
    state: Literal["changed", "removed"]
    choice: Literal["keep", "new"] = "keep"


class AntivirusFound(Finding):
    """Engine and database of the antivirus before anything was changed."""

    product: str
    engine: str | None = None
    database_on_disk: str | None = None
    database_loaded: str | None = None
    database_offered: str | None = None
    update_pending: bool | None = None
    """None when the mirror gave no answer: neither pending nor up to date."""


class RebootExpected(Finding):
    """Whether a restart is needed already and whether the updates will ask for one."""

    required_now: bool = False
    expected: bool = False
    because: tuple[str, ...] = ()


class SnapshotForeseen(Finding):
    """What the check says of a snapshot of the host's root before the updates."""

    file_system: str = ""
    volume: str = ""
    """The root's volume with its group's name; empty where it is not on LVM."""
    taken: bool = False
    returns: bool = False
    """Whether a rollback goes back by it."""
    why_not: str = ""
    not_covered: tuple[str, ...] = ()


class PlanUpdates(Finding):
    """Everything the check found on one host."""

    os: OperatingSystem
    installed: int = 0
    updates: tuple[Update, ...] = ()
    new_packages: tuple[NewPackage, ...] = ()
    held: tuple[Held, ...] = ()
    kept_back: tuple[KeptBack, ...] = ()
    conffiles: tuple[Conffile, ...] = ()
    antivirus: AntivirusFound | None = None
    reboot: RebootExpected = RebootExpected()
    snapshot: SnapshotForeseen = SnapshotForeseen()
    dpkg_audit: tuple[str, ...] = ()
    free_bytes: int = 0
    needed_bytes: int = 0

    @property
    def blocked(self) -> tuple[KeptBack, ...]:
        """Return what is kept back for another reason than that somebody holds it."""
        held = {item.package for item in self.held}
        return tuple(item for item in self.kept_back if item.package not in held)


class RestoreTest(Finding):
    """Files read back out of the backup and compared."""

    files: int
    matched: int
    seconds: float = 0


class DatabaseDump(Finding):
    """One database that a backup took along."""

    engine: str = ""
    cluster: str = ""
    database: str = ""
    """Empty for what belongs to no database: the roles of a PostgreSQL cluster."""
    bytes: int = 0


class BackUp(Finding):
    """One backup of one host."""

    repository: str = ""
    tool: str = ""
    snapshot: str = ""
    """Empty when no snapshot was made."""
    paths: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0
    seconds: float = 0
    check: str = ""
    restore_test: RestoreTest | None = None
    dumps: tuple[DatabaseDump, ...] = Field(default=(), alias="databases")
    databases_left_out: tuple[str, ...] = ()

    @property
    def databases(self) -> tuple[DatabaseDump, ...]:
        """Return the dumps of databases, without those of what belongs to none."""
        return tuple(dump for dump in self.dumps if dump.database)


class KeptConfiguration(Finding):
    """The configuration of a router, kept as a file on the controller."""

    file: str
    """Its name below the folder of such files."""
    bytes: int
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class KeptBackup(Finding):
    """A backup that stays, and why; or one that the policy lets go of, without a reason."""

    id: str
    time: str = ""
    tags: tuple[str, ...] = ()
    reason: str = ""


class ProposeRetention(Finding):
    """What the office's policy lets go of on one host."""

    snapshots: int = 0
    keep: tuple[KeptBackup, ...] = ()
    removals: tuple[KeptBackup, ...] = ()


class PruneBackups(Finding):
    """What removing approved backups came to."""

    approved: int = 0
    removed: tuple[str, ...] = ()
    check: str = ""


class Change(Finding):
    """A package whose version changed."""

    package: str
    from_: str = Field(alias="from")
    to: str


class Already(Finding):
    """A package that had the approved version before."""

    package: str
    version: str


class Refused(Finding):
    """An approved change that was not made because the host was no longer as approved."""

    package: str
    approved_from: str
    approved_to: str
    found: str | None = None
    candidate: str | None = None
    reason: str = ""


class ApplyUpdates(Finding):
    """What installing came to."""

    changes: tuple[Change, ...] = ()
    already: tuple[Already, ...] = ()
    refused: tuple[Refused, ...] = ()
    configuration: tuple[str, ...] = ()
    """Files that the update laid beside configuration changed by hand."""
    outcome: str
    dpkg_audit: tuple[str, ...] = ()
    seconds: float = 0
    log_tail: str = ""


class Database(Finding):
    """Version of the antivirus database on disk and in the running daemon."""

    on_disk: str | None = None
    loaded: str | None = None


class UpdateAntivirus(Finding):
    """What updating the antivirus came to."""

    product: str | None
    before: Database = Database()
    after: Database = Database()
    changed: bool = False
    seconds: float = 0


class VirusFound(Finding):
    """A file in which the scanner found something."""

    path: str
    signature: str
    moved: bool = False
    id: str = ""
    reason: str = ""


class ScanHost(Finding):
    """What scanning folders came to."""

    product: str = ""
    files: int = 0
    skipped: dict[str, int] = {}
    found: tuple[VirusFound, ...] = ()
    complete: bool = False
    problem: str = ""


class RebootHost(Finding):
    """Whether the host was restarted."""

    required: bool = False
    approved: bool = False
    rebooted: bool = False
    seconds: float = 0
    because: tuple[str, ...] = ()


class NotUndone(Finding):
    """A package that could not be taken back."""

    package: str
    reason: str


class RollbackUpdates(Finding):
    """What taking the changes back came to."""

    changes: tuple[Change, ...] = ()
    not_undone: tuple[NotUndone, ...] = ()
    outcome: str
    dpkg_audit: tuple[str, ...] = ()
    seconds: float = 0


class NotKept(Finding):
    """A package whose installed version could not be kept to go back with."""

    package: str
    version: str = ""
    reason: str


class SavePackages(Finding):
    """What keeping the installed versions before an update came to."""

    not_saved: tuple[NotKept, ...] = ()


class Rung(Finding):
    """How a host was after a rung of a rollback."""

    rung: Literal["snapshot", "packages", "files"]
    as_before: bool
    different: tuple[str, ...] = ()


class CompareBaseline(Finding):
    """How a host was after each rung."""

    rungs: tuple[Rung, ...] = ()


class FileLeft(Finding):
    """A file that is not as before the update."""

    path: str
    reason: str


class ReturnToSnapshot(Finding):
    """What going back to the snapshot of the root came to."""

    outcome: str
    reason: str = ""
    not_undone: tuple[FileLeft, ...] = ()


class TakenAway(Finding):
    """The snapshot of an ended run, and the days that it lay on the host."""

    run: str
    days: int


class TakeSnapshot(Finding):
    """What taking a snapshot of the root came to."""

    taken: bool = False
    removed: tuple[TakenAway, ...] = ()


class RestoreFiles(Finding):
    """What bringing configuration files back came to."""

    recorded: bool = False
    restored: tuple[str, ...] = ()
    not_restored: tuple[FileLeft, ...] = ()
    left: tuple[FileLeft, ...] = ()
    """Files that stay by rule: brought by the update, or changed by somebody since."""


class Test(Finding):
    """One test on one host."""

    name: str
    title: str = ""
    outcome: Literal["passed", "failed", "error", "skipped"]
    message: str = ""

    @property
    def shown(self) -> str:
        """Return the test's name for readers."""
        return self.title or self.name


class Verification(Finding):
    """The tests of one host; ``passed`` and ``failed`` count them."""

    tests: tuple[Test, ...] = ()
    passed: int = 0
    failed: int = 0


def _nothing_from_empty(value: object) -> object:
    """A role that failed before it found out anything publishes an empty dict."""
    return value or None


_Maybe = BeforeValidator(_nothing_from_empty)


class Results(Finding):
    """The findings of one action on one host, by role."""

    plan_updates: Annotated[PlanUpdates | None, _Maybe] = None
    back_up_host: Annotated[BackUp | None, _Maybe] = None
    propose_retention: Annotated[ProposeRetention | None, _Maybe] = None
    prune_backups: Annotated[PruneBackups | None, _Maybe] = None
    back_up_routerboard: Annotated[KeptConfiguration | None, _Maybe] = None
    apply_updates: Annotated[ApplyUpdates | None, _Maybe] = None
    update_antivirus: Annotated[UpdateAntivirus | None, _Maybe] = None
    reboot_host: Annotated[RebootHost | None, _Maybe] = None
    rollback_updates: Annotated[RollbackUpdates | None, _Maybe] = None
    scan_host: Annotated[ScanHost | None, _Maybe] = None
    save_packages: Annotated[SavePackages | None, _Maybe] = None
    compare_baseline: Annotated[CompareBaseline | None, _Maybe] = None
    restore_files: Annotated[RestoreFiles | None, _Maybe] = None
    take_snapshot: Annotated[TakeSnapshot | None, _Maybe] = None
    return_to_snapshot: Annotated[ReturnToSnapshot | None, _Maybe] = None
    verification: Annotated[Verification | None, _Maybe] = None
    repair_host: Annotated[RepairHost | None, _Maybe] = None
    check_host: Annotated[Check | None, _Maybe] = None
    check_website: Annotated[Check | None, _Maybe] = None
    check_database: Annotated[Check | None, _Maybe] = None
    check_printer: Annotated[Check | None, _Maybe] = None
    check_network_device: Annotated[Check | None, _Maybe] = None
    check_routerboard: Annotated[Check | None, _Maybe] = None
    check_internet_link: Annotated[Check | None, _Maybe] = None

    @property
    def check(self) -> Check | None:
        """Return what checking the host came to: a host is of one kind, so one role checks it."""
        services = (self.check_website, self.check_database, self.check_printer, self.check_network_device)
        others = (self.check_routerboard, self.check_internet_link)
        return next((found for found in (self.check_host, *services, *others) if found), None)


def is_disturbed(status: str, results: dict[str, Any]) -> bool:
    """Tell whether a host is not well: it is not ok, or a check found something critical or unmeasured there.

    A warning alone disturbs nothing; what could not be measured, or cannot be read, is never good. Whatever
    else was published is not looked at: the end of an action is recorded in any case.
    """
    if status != "ok":
        return True
    try:
        check = Results.model_validate(
            {n: told for n, told in results.items() if n.startswith("check_")}
        ).check
    except ValidationError:
        return True
    return check is not None and bool(check.disturbing)


class Failure(Finding):
    """Why a host is not ``ok``."""

    task: str
    message: str


class Evidence(Finding):
    """One evidence file: one action on one host."""

    host: str
    status: Literal["ok", "failed", "unreachable", "unknown"]
    step: int
    attempt: int
    part: str
    results: Results = Results()
    failure: Failure | None = None
