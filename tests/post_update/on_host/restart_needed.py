"""Tell which of these packages rpm installed after the host was started: they still need a restart."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def booted_at() -> float:
    """Return when the host's first process was started (in a container that is not the kernel's boot)."""
    ticks = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def installed_at(package: str) -> int:
    """Return when the newest version of a package was installed, 0 when none is."""
    argv = ["rpm", "--query", "--queryformat=%{INSTALLTIME}\\n", package]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return max((int(line) for line in done.stdout.split() if line.isdigit()), default=0)


booted = booted_at()
print(json.dumps({"needed_by": [name for name in json.loads(sys.argv[1]) if installed_at(name) > booted]}))
