"""Tell which versions of packages rpm has on record, and which packages stand beside their older versions."""

import json
import subprocess
import sys

FORM = "%{NAME}\\t%{ARCH}\\t%{EPOCHNUM}\\t%{VERSION}-%{RELEASE}\\n"
# As dnf has it by default: what is installed beside its older versions says so by its name or by such a word.
BESIDE = (
    "kernel",
    "kernel-PAE",
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
)


def output_of(*argv: str) -> str:
    """Return what a command prints; one that finds nothing ends with an error and prints that."""
    return subprocess.run(argv, capture_output=True, text=True, check=False, errors="replace").stdout


def rows(*question: str) -> list[tuple[str, str]]:
    """Return name as a plan has it and version of the packages that answer to a question."""
    own = output_of("rpm", "--eval", "%{_arch}").strip()
    found = []
    for line in output_of("rpm", "--query", f"--queryformat={FORM}", *question).splitlines():
        words = line.split("\t")
        if len(words) == 4:
            name, arch, epoch, version = words
            shown = name if arch in {own, "noarch"} else f"{name}.{arch}"
            found.append((shown, version if epoch == "0" else f"{epoch}:{version}"))
    return found


wanted = set(json.loads(sys.argv[1]))
installed: dict[str, list[str]] = {}
for package, evr in sorted(rows("--all")):
    if package in wanted:
        installed.setdefault(package, []).append(evr)
beside = sorted({package for package, _ in rows("--whatprovides", *BESIDE)} & wanted)
print(json.dumps({"installed": installed, "beside": beside}))
