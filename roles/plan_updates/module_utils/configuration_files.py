"""Which configuration files of a package an administrator has changed, by dpkg's own record of conffiles.

An update keeps such a file as it is and lays the new one beside it (`.dpkg-dist`): whoever decides on the
update should know that its new settings will not be in effect there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils import debian_packages as packages

_FORMAT = "${Package}:${Architecture}\\n${Conffiles}\\n"
# A path may hold spaces; what follows it is the digest of the file as it was shipped, then perhaps flags.
_SHIPPED = re.compile(r" (?P<path>/.*) (?P<md5>[0-9a-f]{32})(?P<flags>(?: [a-z-]+)*)")
_PER_CALL = 200


def changed_by_hand(names: Iterable[str]) -> list[dict[str, str]]:
    """Return the changed or removed configuration files of installed packages: package, path, state.

    Packages are named as in a plan: those of a foreign architecture with it, all others without.
    """
    wanted, own = sorted(names), (":all", f":{packages.native_architecture()}")
    told = "".join(_ask(wanted[at : at + _PER_CALL]) for at in range(0, len(wanted), _PER_CALL))
    return [
        {"package": plain_name(package, own), "path": path, "state": state}
        for package, path, shipped in parse(told)
        if (state := state_of(Path(path), shipped)) != "as shipped"
    ]


def plain_name(package: str, own: tuple[str, ...]) -> str:
    """Return a package's name without an architecture that is the host's own."""
    return next((package[: -len(suffix)] for suffix in own if package.endswith(suffix)), package)


def _ask(names: list[str]) -> str:
    done = packages.run_command(["dpkg-query", "--show", f"--showformat={_FORMAT}", *names])
    if done.rc != 0:
        raise RuntimeError(f"dpkg does not tell the configuration files: {packages.error_lines(done.output)}")
    return done.output


def parse(output: str) -> list[tuple[str, str, str]]:
    """Read package, path and MD5 as shipped; files that a package no longer ships are left out."""
    found, package = [], ""
    for line in output.splitlines():
        if line and not line.startswith(" "):
            package = line
        elif (match := _SHIPPED.fullmatch(line)) and "obsolete" not in match["flags"]:
            found.append((package, match["path"], match["md5"]))
    return found


def state_of(path: Path, shipped: str) -> str:
    """Return `as shipped`, `changed` or `removed`."""
    try:
        # dpkg's own digest; nothing is trusted because of it.
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except FileNotFoundError:
        return "removed"
    except OSError:
        return "changed"  # a folder, or a link that leads nowhere, in its place
    return "as shipped" if found == shipped else "changed"
