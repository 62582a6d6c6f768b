"""What a file backup alone would lose: the state of the packages, and databases that are being written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.back_up_host_restic import digest_of
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: back_up_host_states
short_description: Save package states and PostgreSQL dumps where the backup will find them
description:
  - Writes the version, selection and status of every package, and a dump of every PostgreSQL cluster.
  - Does nothing when the same tag was already backed up and verified in the same repository.
options:
  directory:
    description: Where the files are written; root only.
    type: path
    required: true
  tag:
    description: Tag of the snapshot to come.
    type: str
    required: true
  repository:
    description: Repository of the snapshot to come, without credentials.
    type: str
    required: true
  postgresql:
    description: Whether PostgreSQL clusters are dumped.
    type: bool
    default: true
  timeout:
    description: Seconds after which a dump is given up.
    type: int
    default: 3600
author: [Rawat contributors]
"""

STATES = r"${binary:Package}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\n"
DUMP_END = b"PostgreSQL database cluster dump complete"


class SavingError(Exception):
    """Something that has to be in the backup could not be saved."""


def run(argv: list[str], timeout: int, output: int = subprocess.PIPE) -> str:
    """Run a command that has to succeed; its output goes to ``output`` or is returned."""
    try:
        done = subprocess.run(
            argv,
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
            timeout=timeout,
            cwd="/",
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SavingError(f"{argv[0]}: {error}") from error
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip()[-800:]
        raise SavingError(f"{' '.join(argv[:6])} ended with {done.returncode}: {complaint}")
    return (done.stdout or b"").decode(errors="replace")


def clusters(timeout: int) -> list[dict[str, str]]:
    """Return the PostgreSQL clusters of the host; one that is down cannot be dumped and is an error."""
    if not shutil.which("pg_lsclusters"):
        return []
    rows = [line.split() for line in run(["pg_lsclusters", "--no-header"], timeout).splitlines()]
    found = [{"cluster": f"{row[0]}/{row[1]}", "status": row[3], "owner": row[4]} for row in rows]
    down = [cluster["cluster"] for cluster in found if not cluster["status"].startswith("online")]
    if down:
        raise SavingError(
            f"PostgreSQL cluster {down[0]} is down and cannot be dumped: start it, drop it, "
            "or set back_up_host_postgresql to false"
        )
    return found


def dump(cluster: dict[str, str], directory: Path, timeout: int) -> dict[str, Any]:
    """Dump one cluster into a file and make sure that the dump reached its end."""
    path = directory / f"{cluster['cluster'].replace('/', '-')}.sql"
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        owner = ["runuser", "--user", cluster["owner"], "--"]
        run([*owner, "pg_dumpall", "--cluster", cluster["cluster"], "--no-password"], timeout, output)
    finally:
        os.close(output)
    size = path.stat().st_size
    with path.open("rb") as content:
        content.seek(max(0, size - 4096))
        if DUMP_END not in content.read():
            raise SavingError(
                f"the dump of PostgreSQL cluster {cluster['cluster']} has no end: it is cut off"
            )
    return {"cluster": cluster["cluster"], "path": str(path), "bytes": size, "sha256": digest_of(path)}


def dump_all(found: list[dict[str, str]], directory: Path, timeout: int) -> list[dict[str, Any]]:
    """Dump every cluster into a fresh folder."""
    if directory.exists():
        shutil.rmtree(directory)
    if not found:
        return []
    directory.mkdir(mode=0o700)
    return [dump(cluster, directory, timeout) for cluster in found]


def write_if_different(path: Path, text: str) -> bool:
    """Write a root-only file in one step; leave one with the same content alone."""
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return False
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(target, "w", encoding="utf-8") as content:
        content.write(text)
        content.flush()
        os.fsync(content.fileno())
    temporary.replace(path)
    return True


def verified_before(directory: Path, tag: str, repository: str) -> dict[str, Any] | None:
    """Return what an earlier attempt recorded after verifying a snapshot of this tag, if it did."""
    marker = directory / "verified-snapshot.json"
    if not marker.exists():
        return None
    try:
        recorded: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        return None
    same = recorded.get("tag") == tag and recorded.get("evidence", {}).get("repository") == repository
    return recorded if same else None


def saved(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Save package states and databases and say what was saved."""
    directory = Path(params["directory"])
    before = verified_before(directory, params["tag"], params["repository"])
    if before:
        return {"changed": False, "verified_before": before}
    states = run(["dpkg-query", "--show", "--showformat", STATES], 120)
    found = clusters(120) if params["postgresql"] else []
    counted = sum(1 for line in states.splitlines() if line.endswith("\tinstalled"))
    package_states = {"packages": counted, "sha256": hashlib.sha256(states.encode()).hexdigest()}
    if check_mode:
        return {
            "changed": True,
            "about": {"package_states": package_states, "postgresql": found},
            "files": {},
        }
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "package-states.tsv"
    written = write_if_different(path, states)
    dumps = dump_all(found, directory / "postgresql", params["timeout"])
    return {
        "changed": written or bool(dumps),
        "about": {"package_states": package_states, "postgresql": dumps},
        "files": {str(path): package_states["sha256"]} | {item["path"]: item["sha256"] for item in dumps},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "tag": {"type": "str", "required": True},
            "repository": {"type": "str", "required": True},
            "postgresql": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    try:
        result = saved(module.params, check_mode=module.check_mode)
    except (SavingError, OSError) as error:
        module.fail_json(msg=f"nothing was backed up: {error}")
    module.exit_json(**{"verified_before": {}, "about": {}, "files": {}, **result})


if __name__ == "__main__":
    main()
