"""Builds the layers of the hosts' disks once, and keeps them as plain folders.

A layer is built beside its place and renamed into it, so a half-built one is never used. Mounts are
made in a mount namespace of the build's own: whatever ends the build ends them too.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.clamav import install_databases
from lab.command import run
from lab.layout import CACHE_ROOT, HostPlan
from lab.mirror import fetch_settings, find_mirror
from lab.packages import OLD, RECIPES, build_package
from lab.recipe import Layer, host_layer

LAYERS = CACHE_ROOT / "layers"
SHARED = CACHE_ROOT / "apt"
LEFT_OUT = ("man", "locale", "info", "doc")

# A build ends with the process that started it, and takes its own processes and mounts with it.
ALONE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)

# Run as root in a namespace of its own; $1 is the work folder, $2 the lower layers.
ENTER = """\
set -e
work=$1
mount -t overlay overlay -o "lowerdir=$2,upperdir=$work/upper,workdir=$work/work" "$work/root"
mount -t proc proc "$work/root/proc"
mount --rbind /dev "$work/root/dev"
mount -t tmpfs tmpfs "$work/root/run"
mount -t tmpfs tmpfs "$work/root/tmp"
mount --bind /etc/resolv.conf "$work/root/etc/resolv.conf"
mount --bind "$3/lists" "$work/root/var/lib/apt/lists"
mount --bind "$3/archives" "$work/root/var/cache/apt/archives"
mkdir "$work/root/tmp/build"
cp -r "$work/build/." "$work/root/tmp/build"
exec chroot "$work/root" /bin/sh -e /tmp/build/script
"""

INSTALL = """\
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/tmp/build/apt.conf
# Nothing starts in a disk that is being built.
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
{install}
rm /usr/sbin/policy-rc.d
rm -f /var/cache/apt/*.bin /var/log/dpkg.log /var/log/alternatives.log
rm -rf /var/log/apt
cd /
{script}
"""


def prepare_layers(plans: Iterable[HostPlan], say: Callable[[str], None]) -> None:
    """Build the layers that hosts need and that are not there yet."""
    LAYERS.mkdir(parents=True, exist_ok=True)
    with only_builder():
        for plan in plans:
            for layer in reversed(host_layer(plan).chain):
                if not place(layer).is_dir():
                    say(f"building disk layer {layer.name}")
                    build_layer(layer)


def lower_folders(plan: HostPlan) -> list[Path]:
    """Return the folders of a host's layers, the topmost first."""
    return [place(layer) for layer in host_layer(plan).chain]


def place(layer: Layer) -> Path:
    """Return the folder of a layer."""
    return LAYERS / layer.key


@contextmanager
def only_builder() -> Iterator[None]:
    """Let one process at a time build, and clear what a killed one left."""
    with (CACHE_ROOT / ".lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in LAYERS.glob(".new-*"):
            shutil.rmtree(stale)
        yield


def build_layer(layer: Layer) -> None:
    """Build one layer whose parents are built."""
    work = LAYERS / f".new-{layer.key}"
    for name in ("upper", "work", "root", "build"):
        (work / name).mkdir(parents=True)
    upper = work / "upper"
    upper.chmod(0o755)
    if layer.parent is None:
        build_base(layer, upper)
    else:
        build_upon(layer, work)
    shutil.rmtree(work / "work", ignore_errors=True)
    upper.rename(place(layer))
    shutil.rmtree(work)


def build_base(layer: Layer, target: Path) -> None:
    """Make the lowest layer with mmdebstrap from the controller's own mirror."""
    mirror = find_mirror()
    argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--keyring={mirror.keyring}"]
    argv += [f"--include={','.join(layer.packages)}", "--dpkgopt=force-unsafe-io"]
    argv += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    argv += [f"--aptopt={line}" for line in fetch_settings().splitlines()]
    argv += [mirror.suite, str(target), mirror.line()]
    run([*ALONE, *argv], timeout=1200)
    # What mmdebstrap was told about fetching is the controller's, not the hosts'.
    (target / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    write_files(layer, target)
    run(["/bin/sh", "-e"], stdin=f"cd '{target}'\n{layer.script}")


def build_upon(layer: Layer, work: Path) -> None:
    """Make a layer by installing packages over its parents."""
    for name in ("lists", "archives"):
        (SHARED / name / "partial").mkdir(parents=True, exist_ok=True)
    install = []
    if layer.packages:
        update_lists()
        install.append(f"apt-get -qq install --no-install-recommends {' '.join(layer.packages)}")
    if layer.lab_packages:
        for name in layer.lab_packages:
            build_package(RECIPES[name], OLD, work / "build")
        install.append("dpkg --install /tmp/build/*.deb")
    if layer.databases:
        (work / "build/databases").mkdir()
        install_databases(work / "build/databases")
        install.append("install -o clamav -g clamav -m 644 -t /var/lib/clamav /tmp/build/databases/*")
    (work / "build/apt.conf").write_text(
        fetch_settings() + 'Dir::Etc::sourcelist "/tmp/build/sources.list";\nAPT::Sandbox::User "root";\n',
        encoding="utf-8",
    )
    (work / "build/sources.list").write_text(find_mirror().line() + "\n", encoding="utf-8")
    script = INSTALL.format(install="\n".join(install), script=layer.script)
    (work / "build/script").write_text(script, encoding="utf-8")
    write_files(layer, work / "upper")
    lower = ":".join(str(place(below)) for below in layer.chain[1:])
    enter = ["/bin/sh", "-c", ENTER, "enter", str(work), lower, str(SHARED)]
    run([*ALONE, *enter], timeout=1200)


def update_lists() -> None:
    """Refresh the package lists that all builds share, with a source list of their own."""
    source = SHARED / "sources.list"
    source.write_text(find_mirror().line() + "\n", encoding="utf-8")
    settings = {
        "Dir::Etc::sourcelist": source,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": SHARED / "lists",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
    }
    words = (word for key, value in settings.items() for word in ("-o", f"{key}={value}"))
    run(["apt-get", *words, "update"], timeout=300)


def write_files(layer: Layer, root: Path) -> None:
    """Write a layer's own files."""
    for name, text in layer.files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
