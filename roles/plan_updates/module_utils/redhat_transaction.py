"""One transaction of dnf on a host of the RHEL family: exactly the packages of an order come and go, or none.

A copy of this file is what the named unit runs, so it needs Python, dnf and rpm, and nothing of ours. The
order is a file written before; what dnf's resolver would do is compared with it in the very process that
then does it, and every package more or less than ordered refuses all of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

try:
    import dnf
    import hawkey
    import rpm
except ImportError:
    dnf = None

Order = dict[str, Any]
"""``comes``, ``goes``, ``erase``: packages; ``files``; ``needs_sources``, ``run``, ``proxy``, times."""
_Result = TypeVar("_Result")

SOURCES, STORED, NOTHING = "fetched anew", "as stored", "none"


class MetadataError(Exception):
    """The metadata of a source could not be had; its text names the source and why."""


class RefusedError(Exception):
    """The order is not carried out: its text says what is in the way, and nothing was changed."""


class Package(NamedTuple):
    """What tells a package apart; ``evr`` is `[epoch:]version-release`, an epoch of 0 left out."""

    name: str
    arch: str
    evr: str

    def __str__(self) -> str:
        """Return it as rpm names it."""
        return f"{self.name}-{self.evr}.{self.arch}"


def identity(package: hawkey.Package) -> Package:
    """Return what tells a package of dnf apart."""
    return Package(package.name, package.arch, package.evr)


def named(packages: Iterable[list[str]]) -> list[Package]:
    """Read packages as an order holds them."""
    return [Package(*words) for words in packages]


def process_name(pid: int) -> str:
    """Return a process as people find it."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = "unknown"
    return f"process {pid} ({name})"


def when_unlocked(act: Callable[[], _Result], seconds: float) -> _Result:
    """Do something for which dnf takes a lock, and wait for it only so long.

    Raises:
        MetadataError: when another process keeps the lock.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except dnf.exceptions.ProcessLockError as error:
            if time.monotonic() > deadline:
                raise MetadataError(f"dnf is locked by {process_name(error.pid)}") from error
            time.sleep(1)


@contextmanager
def opened(parameters: dict[str, Any], sources: str) -> Iterator[dnf.Base]:
    """Give dnf with what is installed, and its sources fetched anew, as stored, or none of them.

    Raises:
        MetadataError: when a source cannot be fetched or read, or another process keeps dnf's lock.
    """
    with dnf.Base() as base, ExitStack() as plugins:
        try:
            load(base, parameters, sources, plugins)
        except (dnf.exceptions.Error, RuntimeError, OSError) as error:
            raise MetadataError(str(error)) from error
        yield base


def load(base: dnf.Base, parameters: dict[str, Any], sources: str, plugins: ExitStack) -> None:
    """Set dnf up and load what is installed and on offer."""
    base.conf.read()
    base.conf.substitutions.update_from_etc(base.conf.installroot)
    # dnf itself would wait for ever for another process.
    base.conf.exit_on_lock = True
    base.conf.obsoletes = True
    # An update that cannot go to the newest version is told as kept back; it spoils no other.
    base.conf.best = False
    base.conf.install_weak_deps = False
    # dnf would remove the oldest kernel with the update of one; nobody decided on that.
    base.conf.installonly_limit = 0
    # The lock on versions is a plug-in; the one left out wants a terminal. They are loaded once in a process.
    base.init_plugins(disabled_glob=("show_leaves",))
    plugins.callback(base.unload_plugins)
    base.pre_configure_plugins()
    if sources != NOTHING:
        base.read_all_repos()
    base.configure_plugins()
    # What a plug-in adds (a store of downloads) is in no file, and may be missing if it says so.
    configured = [repository for repository in base.repos.iter_enabled() if repository.repofile]
    for repository in configured:
        # By default dnf goes on without a source that does not answer, and says that nothing is pending.
        repository.skip_if_unavailable = False
        repository.timeout = parameters["http_timeout"]
        repository.retries = parameters["http_retries"] + 1
        if parameters["proxy"]:
            repository.proxy = parameters["proxy"]
        if sources == SOURCES:
            repository.metadata_expire = 0
    when_unlocked(lambda: fill(base, sources), parameters["lock_timeout"])
    if not configured and sources != NOTHING:
        raise MetadataError("no source is enabled in /etc/yum.repos.d")


def fill(base: dnf.Base, sources: str) -> None:
    """Load what is installed, and what the sources offer."""
    if sources == STORED:
        base.fill_sack_from_repos_in_cache(load_system_repo=True)
    else:
        base.fill_sack(load_system_repo=True, load_available_repos=sources == SOURCES)


@contextmanager
def opened_for(order: Order) -> Iterator[dnf.Base]:
    """Give dnf as an order needs it: without any source when all that comes was saved before.

    Raises:
        MetadataError: when a source is needed and cannot be had.
    """
    with ExitStack() as stack:
        if not order["needs_sources"]:
            base = stack.enter_context(opened(order, NOTHING))
        else:
            try:
                base = stack.enter_context(opened(order, STORED))
            except MetadataError:
                # Somebody cleared what dnf had stored.
                base = stack.enter_context(opened(order, SOURCES))
        yield base


def prepare(base: dnf.Base, order: Order) -> None:
    """Let dnf resolve the order, and compare what it would do with it.

    Raises:
        RefusedError: when it would do anything else.
    """
    base.add_remote_rpms(order["files"])
    for package in named(order["comes"]):
        found = base.sack.query().available().filter(name=package.name, arch=package.arch, evr=package.evr)
        chosen = sorted(found, key=lambda offer: offer.reponame != hawkey.CMDLINE_REPO_NAME)[:1]
        if not chosen:
            raise RefusedError(f"{package} is offered by no source of the host")
        selector = dnf.selector.Selector(base.sack)
        selector.set(pkg=chosen)
        base.goal.install(select=selector, optional=False)
    for package in named(order["erase"]):
        for installed in (
            base.sack.query().installed().filter(name=package.name, arch=package.arch, evr=package.evr)
        ):
            base.package_remove(installed)
    try:
        base.resolve(allow_erasing=True)
    except dnf.exceptions.Error as error:
        raise RefusedError(f"dnf cannot do it: {' '.join(str(error).split())}") from error
    coming = {identity(package) for package in base.transaction.install_set}
    going = {identity(package) for package in base.transaction.remove_set}
    # What is installed again goes and comes in one.
    said = differences(order, coming, going - coming)
    if said:
        raise RefusedError("; ".join(said))


def differences(order: Order, coming: set[Package], going: set[Package]) -> list[str]:
    """Return in words everything dnf would do beyond or short of an order."""
    comes, goes = set(named(order["comes"])), set(named(order["goes"]))
    return [
        *(f"would also install {package}" for package in sorted(coming - comes)),
        *(f"would not install {package}" for package in sorted(comes - coming)),
        *(f"would also remove {package}" for package in sorted(going - goes)),
        *(f"would not remove {package}" for package in sorted(goes - going)),
    ]


def require_signatures(base: dnf.Base, packages: Iterable[Any]) -> None:
    """Check each package as its source demands it.

    Raises:
        RefusedError: on a signature that is missing or wrong, or of a key that the host does not trust.
    """
    for package in packages:
        verdict, said = base.package_signature_check(package)
        if verdict:
            # A key is trusted by a person, never by an update that needs it.
            raise RefusedError(
                f"{package} is not signed as its source demands: {' '.join(str(said).split())}"
            )


def display_of(errors: list[str]) -> dnf.callback.TransactionProgress:
    """Return what dnf tells its progress to: every line goes into the log, errors are collected."""

    class Display(dnf.callback.TransactionProgress):
        """Prints what happens to each package once."""

        def __init__(self) -> None:
            super().__init__()
            self.seen: set[tuple[str, str]] = set()

        def progress(self, package: object, action: int, *_counts: int) -> None:
            """Print an action on a package when it begins."""
            told = (str(dnf.transaction.ACTIONS.get(action, action)), str(package))
            if told not in self.seen:
                self.seen.add(told)
                print(" ".join(told), flush=True)

        def scriptout(self, msgs: object) -> None:
            """Print what a script of a package said."""
            if msgs:
                print(str(msgs).rstrip(), flush=True)

        def error(self, message: str) -> None:
            """Collect an error."""
            errors.append(" ".join(str(message).split()))

    return Display()


def carry_out(base: dnf.Base, order: Order) -> list[str]:
    """Download, check and run what was resolved; return what rpm and the packages' scripts complained of.

    Raises:
        MetadataError: when another process keeps dnf's lock.
        RefusedError: when a signature is not as demanded.
        dnf.exceptions.Error: when a package cannot be had, or the transaction does not come about.
    """
    errors: list[str] = []
    seconds = order["lock_timeout"]
    when_unlocked(lambda: base.download_packages(base.transaction.install_set), seconds)
    require_signatures(
        base, [p for p in base.transaction.install_set if p.reponame != hawkey.CMDLINE_REPO_NAME]
    )
    # Shown by `dnf history`.
    base.args = ["rawat", order["run"]]
    when_unlocked(lambda: base.do_transaction(display_of(errors)), seconds)
    return errors


def main(order_file: str) -> int:
    """Carry an order out, telling on the standard output what went wrong; return the exit code."""
    order = json.loads(Path(order_file).read_text(encoding="utf-8"))
    # rpm's own warnings, such as a configuration file that was kept.
    rpm.setVerbosity(rpm.RPMLOG_WARNING)
    try:
        with opened_for(order) as base:
            prepare(base, order)
            errors = carry_out(base, order)
    except (MetadataError, RefusedError, dnf.exceptions.Error, OSError, RuntimeError) as error:
        errors = [" ".join(str(error).split())]
    for error in errors:
        print(f"E: {error}", flush=True)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
