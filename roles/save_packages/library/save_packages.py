#!/usr/bin/python3
"""Ansible module: keeps the package files of what is installed now, to go back with.

A file comes from the first of these that has it: apt's own cache, when it is the very package that is
installed; a source of the host, whose signature apt checks; what is installed, built again. What cannot be
had is said, with the reason.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import approved_updates as updates
from ansible.module_utils import debian_packages as packages
from ansible.module_utils import dnf_python, redhat_sources, rpm_states
from ansible.module_utils import saved_packages as saved
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.save_packages_repack import RepackError, installed_md5sums, repack

DOCUMENTATION = """
module: save_packages
short_description: Keep the package files of the installed versions of approved updates
description:
  - Saves one package file for each approved update in the installed version, and says what cannot be had.
  - Removes what ended runs have kept.
options:
  approved: {type: list, elements: dict, required: true, description: "Updates: package, from and to"}
  run: {type: str, required: true, description: Names the folder on the host}
  started: {type: str, default: "", description: Digest of the first record of the run}
  ended: {type: list, elements: str, default: [], description: Such digests of runs whose files are removed}
  state_directory: {type: path, required: true, description: Where the folders of runs are}
  reserve_bytes: {type: int, required: true, description: Bytes that have to stay free}
  proxy: {type: str, default: "", description: "Fetch through it, whatever proxy the host names itself"}
author: Rawat
"""
EXAMPLES = """
- name: Keep what is installed now
  save_packages:
    approved: [{package: openssl, from: 3.0.16-1, to: 3.0.17-1}]
    run: example-1
    state_directory: /var/lib/rawat
    reserve_bytes: 67108864
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role save_packages}
"""

CACHE = Path("/var/cache/apt/archives")
STARTED = "started"
"""Names the file that says whose the folder is: the digest of the run's first record. Ids may come again."""


class NoRoomError(Exception):
    """The disk would get too full."""


class Installed(NamedTuple):
    """What dpkg says of an installed package."""

    architecture: str
    size: int
    """Bytes of its files."""


class Keeper:
    """One call's work on one Debian host."""

    ending = "deb"

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self.began = time.monotonic()
        self.folder = saved.folder_of(parameters["state_directory"], parameters["run"])
        self.index: dict[str, dict[str, Any]] = saved.read_index(self.folder)
        self.not_saved: list[dict[str, str]] = []
        self.removed: list[str] = []
        self.about: dict[str, Installed] = {}
        self.fetched: dict[str, Path] = {}

    def missing(self) -> dict[str, str]:
        """Return the packages whose installed version is still to be kept; says what cannot be kept."""
        # What was not installed before has no version to go back to.
        wanted = {
            update["package"]: update["from"] for update in self.parameters["approved"] if update["from"]
        }
        whole = saved.whole_files(self.folder, wanted)
        installed, missing = self.installed(), {}
        for package, version in sorted(wanted.items()):
            if package in whole:
                continue
            if version in installed.get(package, set()):
                missing[package] = version
            else:
                found = ", ".join(sorted(installed.get(package, set()))) or "nothing"
                self.leave_out(package, version, f"{found} is installed, and the version before is gone")
        return missing

    def installed(self) -> dict[str, set[str]]:
        """Return the installed versions by package."""
        return {package: {state.version} for package, state in packages.package_states().items()}

    def offered(self, missing: dict[str, str]) -> set[str]:
        """Return the packages that a source of the host still offers in the version that is missing."""
        offers = updates.read_offers(sorted(missing))
        return {package for package, offer in offers.items() if missing[package] in offer.versions}

    def leave_out(self, package: str, version: str, reason: str) -> None:
        """Note what cannot be kept."""
        self.not_saved.append({"package": package, "version": version, "reason": reason})

    def save(self, missing: dict[str, str]) -> None:
        """Keep what is missing; a package that cannot be kept stops no other."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = self.folder / STARTED
        mark.write_text(self.parameters["started"], encoding="utf-8")
        mark.chmod(0o600)
        for left_over in self.folder.glob("new-*"):
            shutil.rmtree(left_over)
        offered = self.offered(missing)
        work = Path(tempfile.mkdtemp(prefix="new-", dir=self.folder))
        try:
            self.prepare(missing, offered, work)
            for package, version in missing.items():
                self.save_one(package, version, work, is_offered=package in offered)
        finally:
            # Written once: a file that no index names is fetched again.
            saved.write_index(self.folder, self.index)
            shutil.rmtree(work)

    def prepare(self, missing: dict[str, str], offered: set[str], work: Path) -> None:
        """Ask dpkg and the sources for all packages at once: each call reads all that they know anew."""
        self.about = installed_now(missing)
        wanted = {p: v for p, v in missing.items() if p in offered and not self.in_cache(p, v)}
        if wanted and self.has_room(wanted):
            self.fetched = self.download(wanted, work)

    def download(self, wanted: Mapping[str, str], work: Path) -> dict[str, Path]:
        """Fetch package files from the sources of the host; return those that came, by package."""
        return download(wanted, self.about, work, packages.through(self.parameters["proxy"]))

    def save_one(self, package: str, version: str, work: Path, *, is_offered: bool) -> None:
        """Keep one package file, from the nearest place that has it."""
        try:
            self.require_room(package)
            file = work / f"{package.replace(':', '_')}.{self.ending}"
            how, notes = self.fetch(package, version, file, work, is_offered=is_offered)
            self.require_package(file, package, version)
        except (NoRoomError, RepackError, OSError) as error:
            self.leave_out(package, version, str(error))
            return
        digest = saved.digest_of(file)
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        kept = self.folder / f"{digest[:16]}.{self.ending}"
        file.chmod(0o600)
        file.replace(kept)
        self.index[package] = {
            "version": version, "file": kept.name, "sha256": digest, "bytes": kept.stat().st_size, "how": how,
            "notes": notes,
        }  # fmt: skip

    def fetch(
        self, package: str, version: str, file: Path, work: Path, *, is_offered: bool
    ) -> tuple[str, list[str]]:
        """Put the package file there; return how it was had and what is to be said about it."""
        if cached := self.in_cache(package, version):
            shutil.copyfile(cached, file)
            return "cache", []
        # What did not come with the others is asked for by itself.
        alone = {package: version} if is_offered and package not in self.fetched else {}
        if fetched := (self.fetched | self.download(alone, work)).get(package):
            fetched.replace(file)
            return "channel", []
        own = Path(tempfile.mkdtemp(prefix="tree-", dir=work))
        try:
            return "repacked", repack(package, file, own)
        finally:
            shutil.rmtree(own)

    def require_package(self, file: Path, package: str, version: str) -> None:
        """Refuse a file that is not the package in the version."""
        told = packages.run_command(["dpkg-deb", "--show", "--showformat=${Package} ${Version}", str(file)])
        if told.rc != 0 or told.output.strip() != f"{package.partition(':')[0]} {version}":
            raise RepackError(
                f"the package file is not {package} {version}: {packages.clean_text(told.output)[:200]}"
            )

    def size_of(self, package: str) -> int:
        """Return how many bytes a package's files have."""
        return self.about[package].size

    def room_for(self, names: Iterable[str]) -> int:
        """Return the bytes to be free before these are kept: their files once more, and as package files."""
        return int(sum(2 * self.size_of(package) for package in names) + self.parameters["reserve_bytes"])

    def has_room(self, names: Iterable[str]) -> bool:
        """Tell whether these can be kept without filling the disk."""
        room = os.statvfs(self.folder)
        return room.f_bavail * room.f_frsize >= self.room_for(names)

    def require_room(self, package: str) -> None:
        """Refuse what could fill the disk; what is fetched already takes its room by now."""
        if package not in self.fetched and not self.has_room([package]):
            raise NoRoomError(f"{self.folder} has less than {self.room_for([package])} bytes free")

    def in_cache(self, package: str, version: str) -> Path | None:
        """Return the file in apt's cache that is the very package that is installed."""
        path = CACHE / file_name(package, version, self.about[package].architecture)
        if not path.is_file():
            return None
        shipped = installed_md5sums(package)
        inside = packages.run_command(["dpkg-deb", "--info", str(path), "md5sums"])
        # Without digests nobody can tell whether it is the same: then a source is asked, which is signed.
        return path if shipped and inside.rc == 0 and inside.output.encode() == shipped else None

    def sweep(self, *, is_check: bool) -> None:
        """Remove what runs that have ended kept: nobody goes back by them any more."""
        for mark in sorted(Path(self.parameters["state_directory"]).glob(f"*/{self.folder.name}/{STARTED}")):
            folder = mark.parent
            if folder == self.folder or mark.read_text(encoding="utf-8") not in self.parameters["ended"]:
                continue
            if not is_check:
                shutil.rmtree(folder)
            self.removed.append(folder.parent.name)

    def evidence(self) -> dict[str, Any]:
        """Return the evidence of the role."""
        wanted = {update["package"] for update in self.parameters["approved"]}
        kept = [
            {"package": package, **{key: item[key] for key in ("version", "how", "bytes", "notes")}}
            for package, item in sorted(self.index.items())
            if package in wanted
        ]
        return {
            "saved": kept,
            "not_saved": self.not_saved,
            "bytes": sum(item["bytes"] for item in kept),
            "removed": sorted(self.removed),
            "seconds": round(time.monotonic() - self.began, 1),
        }


class RpmKeeper(Keeper):
    """One call's work on one host of the RHEL family, where nothing can be built again."""

    ending = "rpm"

    def prepare(self, missing: dict[str, str], offered: set[str], work: Path) -> None:
        """Have nothing fetched beforehand: dnf is opened once, and knows all that it was told."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        super().__init__(parameters)
        self.found = rpm_states.read()
        self.sources: redhat_sources.Sources | None = None

    def installed(self) -> dict[str, set[str]]:
        """Return the installed versions by package."""
        return {package: rpm_states.versions(self.found, package) for package in self.found}

    def save(self, missing: dict[str, str]) -> None:
        """Keep what is missing, with dnf opened once for all of it."""
        try:
            with redhat_sources.opened(self.parameters["proxy"]) as self.sources:
                super().save(missing)
        except redhat_sources.MetadataError as error:
            for package, version in missing.items():
                if package not in self.index:
                    self.leave_out(package, version, f"the sources of the host cannot be asked: {error}")

    def offered(self, missing: dict[str, str]) -> set[str]:
        """Return the packages that a source of the host still offers in the version that is missing."""
        return {
            p
            for p, version in missing.items()
            if self.sources and self.sources.has(self.found[p][0], version)
        }

    def fetch(
        self, package: str, version: str, file: Path, work: Path, *, is_offered: bool
    ) -> tuple[str, list[str]]:
        """Fetch the package file from a source, its signature checked as the source demands it."""
        del work
        if not is_offered or self.sources is None:
            raise RepackError("no source offers it any more, and rpm cannot build it again")
        try:
            self.sources.fetch(self.found[package][0], version, file)
        except redhat_sources.FetchError as error:
            raise RepackError(str(error)) from error
        return "channel", []

    def require_package(self, file: Path, package: str, version: str) -> None:
        """Refuse a file that is not the package in the version."""
        told = packages.run_command(
            ["rpm", "--query", f"--queryformat={rpm_states.FORM}", "--package", str(file)]
        )
        inside = rpm_states.parse(told.output, rpm_states.own_architecture()) if told.rc == 0 else {}
        if rpm_states.versions(inside, package) != {version}:
            raise RepackError(
                f"the package file is not {package} {version}: {packages.clean_text(told.output)[:200]}"
            )

    def size_of(self, package: str) -> int:
        """Return how many bytes a package's files have."""
        asked = ["rpm", "--query", "--queryformat=%{LONGSIZE}\n", self.found[package][0].name]
        return max(
            (int(line) for line in packages.run_command(asked).output.split() if line.isdigit()), default=0
        )


def file_name(package: str, version: str, architecture: str) -> str:
    """Return how apt calls the file of a package."""
    return f"{package.partition(':')[0]}_{version.replace(':', '%3a')}_{architecture}.deb"


def installed_now(names: Collection[str]) -> dict[str, Installed]:
    """Ask dpkg for all of these packages at once."""
    form = "${Package}\t${Architecture}\t${Installed-Size}\n"
    told = packages.run_command(["dpkg-query", "--show", f"--showformat={form}", *names]).output
    own = {packages.native_architecture(), "all"}
    found = dict.fromkeys(names, Installed("", 0))
    for line in told.splitlines():
        # What dpkg says of a package that it does not know has no tabs.
        name, kind, size, *_ = [*line.split("\t"), "", ""]
        found[name if kind in own else f"{name}:{kind}"] = Installed(kind, 1024 * int(size or 0))
    return found


def download(
    wanted: Mapping[str, str], about: Mapping[str, Installed], work: Path, options: Iterable[str] = ()
) -> dict[str, Path]:
    """Fetch package files from the sources of the host in one call; return those that came, by package."""
    if not wanted:
        return {}
    folder = Path(tempfile.mkdtemp(prefix="fetched-", dir=work))
    command = ["/usr/bin/env", f"--chdir={folder}", "apt-get", "download", "--quiet", *packages.FETCH_LIMITS]
    named = [f"{package}={version}" for package, version in sorted(wanted.items())]
    done = packages.run_command([*command, *options, "--", *named], timeout=600)
    if done.rc != 0:
        # Nobody can tell which files are whole.
        shutil.rmtree(folder)
        return {}
    files = {p: folder / file_name(p, version, about[p].architecture) for p, version in wanted.items()}
    return {package: file for package, file in files.items() if file.is_file()}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "approved": {"type": "list", "elements": "dict", "required": True},
            "run": {"type": "str", "required": True},
            "started": {"type": "str", "default": ""},
            "ended": {"type": "list", "elements": "str", "default": []},
            "state_directory": {"type": "path", "required": True},
            "reserve_bytes": {"type": "int", "required": True},
            "proxy": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    is_redhat = rpm_states.is_redhat(rpm_states.os_release())
    if is_redhat:
        dnf_python.require_dnf(module, {})
    elif not updates.HAS_APT:
        reason = "the host has neither python3-apt nor dnf: package files can be kept of neither"
        named = [
            {"package": u["package"], "version": u["from"], "reason": reason}
            for u in module.params["approved"]
            if u["from"]
        ]
        module.exit_json(
            changed=False, evidence={"saved": [], "not_saved": named, "bytes": 0, "removed": [], "seconds": 0}
        )
    keeper = RpmKeeper(module.params) if is_redhat else Keeper(module.params)
    before = dict(keeper.index)
    missing = keeper.missing()
    try:
        keeper.sweep(is_check=module.check_mode)
        if missing and not module.check_mode:
            keeper.save(missing)
    except OSError as error:
        for package, version in missing.items():
            if package not in keeper.index:
                keeper.leave_out(package, version, str(error))
    changed = bool(keeper.removed) or keeper.index != before or (module.check_mode and bool(missing))
    module.exit_json(changed=changed, evidence=keeper.evidence())


if __name__ == "__main__":
    main()
