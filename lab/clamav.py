"""Virus databases that are really signed, small, and free to serve: those of ClamAV's own tests.

They come from Debian's clamav source package. Version 1 of the daily database is what the hosts
have, version 6 is what the lab's mirror offers; freshclam verifies both as it does in production.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.command import run
from lab.errors import LabError
from lab.layout import ANTIVIRUS_PORT, CACHE_ROOT, Lab
from lab.mirror import fetch_settings, find_mirror

ON_HOSTS = {"daily.cvd": "test-1.cvd", "main.cvd": "test-1.cvd", "bytecode.cvd": "bytecode.cvd"}
ON_MIRROR = ON_HOSTS | {"daily.cvd": "test-6.cvd"}
CUSTOM = "rawat-lab.ndb"
# The test string that every scanner knows, in two parts so that this file is not found by one.
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def custom_signatures() -> str:
    """Return the lab's own database, with a signature of the harmless EICAR file."""
    return f"Rawat.Lab.Test.EICAR-1:0:*:{EICAR.encode().hex()}\n"


def fetch_databases() -> Path:
    """Return the folder of the test databases, fetching them once."""
    folder = CACHE_ROOT / "clamav-databases"
    if folder.is_dir():
        return folder
    with TemporaryDirectory(prefix="clamav-", dir=CACHE_ROOT) as top:
        work = Path(top)
        run(["tar", "-xf", fetch_source(work), "-C", work, "--wildcards", "*.cvd"], timeout=300)
        found = work / "found"
        found.mkdir()
        for name in sorted({*ON_HOSTS.values(), *ON_MIRROR.values()}):
            places = sorted(work.glob(f"clamav*/unit_tests/input/**/{name}"))
            if not places:
                raise LabError(f"Debian's clamav source package has no {name}")
            shutil.copyfile(places[0], found / name)
        found.chmod(0o755)
        found.rename(folder)
    return folder


def fetch_source(work: Path) -> Path:
    """Download clamav's source package with a source list of its own, and return the tarball."""
    (work / "lists").mkdir()
    (work / "sources.list").write_text(find_mirror().line("deb-src") + "\n", encoding="utf-8")
    (work / "apt.conf").write_text(fetch_settings(), encoding="utf-8")
    # The controller's own sources stay as they are: apt sees only this folder's.
    settings = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work,
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
    }
    apt = ["apt-get", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]
    config = {"APT_CONFIG": str(work / "apt.conf")}
    run([*apt, "update"], extra_env=config, timeout=300)
    run([*apt, "--download-only", "source", "clamav"], cwd=work, extra_env=config, timeout=600)
    tarballs = sorted(work.glob("clamav_*.orig.tar.*"))
    if not tarballs:
        raise LabError("apt-get source brought no clamav tarball")
    return tarballs[0]


def install_databases(folder: Path) -> None:
    """Put the hosts' databases into a folder."""
    copy_databases(folder, ON_HOSTS)


def create_mirror(lab: Lab) -> None:
    """Make the folder that the lab's ClamAV mirror serves."""
    folder = lab.state / "antivirus"
    folder.mkdir()
    copy_databases(folder, ON_MIRROR)


def copy_databases(folder: Path, names: dict[str, str]) -> None:
    """Copy test databases under the names that ClamAV looks for."""
    databases = fetch_databases()
    for name, origin in names.items():
        shutil.copyfile(databases / origin, folder / name)
        (folder / name).chmod(0o644)
    (folder / CUSTOM).write_text(custom_signatures(), encoding="ascii")


def freshclam_settings(lab: Lab) -> str:
    """Return a host's freshclam.conf: the lab's mirror and nothing else."""
    mirror = lab.url(ANTIVIRUS_PORT)
    return (
        "DatabaseOwner clamav\n"
        "DatabaseDirectory /var/lib/clamav\n"
        "UpdateLogFile /var/log/clamav/freshclam.log\n"
        "NotifyClamd /etc/clamav/clamd.conf\n"
        "Foreground false\n"
        "DNSDatabaseInfo no\n"
        "ScriptedUpdates no\n"
        "MaxAttempts 1\n"
        "ConnectTimeout 5\n"
        f"DatabaseMirror {mirror}\n"
        f"DatabaseCustomURL {mirror}/{CUSTOM}\n"
    )
