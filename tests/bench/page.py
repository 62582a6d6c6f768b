"""Makes docs/performance.md and its chart out of docs/performance.json: nothing that was not measured."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measuring import median, ratios

Results = dict[str, dict[str, Any]]
WORDS = Path(__file__).parent / "words"


@dataclass(frozen=True)
class Aim:
    """What one row of the aims wants: ours by theirs, at most so much."""

    what: str
    bench: str
    hosts: int
    ours: str
    theirs: str
    most: float | None
    """None where the aim is a time: seconds on the machine it was measured on."""


@dataclass(frozen=True)
class CostAim:
    """What one row of the aims wants of the controller, on a machine like the one it was measured on."""

    what: str
    bench: str
    hosts: int
    ours: str
    cost: str
    most: float
    unit: str
    a_host: bool


# The limit and pyinfra do without the part of the key exchange that is dear to OpenSSH: like with like.
SAME_KEYS = "check row with their key exchange, wall time"
SAME_KEYS_SIDE = "rawat: check row, keys exchanged as the limit does"

# A resume with a journal of 100,000 records.
MOST_SECONDS = 5.0

AIMS = (
    Aim("check row, wall time", "check", 30, "rawat: check row", "limit: asyncssh, one probe", 2.0),
    Aim("check row, wall time", "check", 30, "rawat: check row", "pyinfra, 12 facts", 1.0),
    Aim("check row, wall time", "check", 30, "rawat: check row", "pyinfra, 1 fact (our probe)", 1.3),
    Aim("check row, wall time", "check", 30, "rawat: check row", "ansible, 12 tasks, tuned", 1 / 15),
    Aim(SAME_KEYS, "check", 30, SAME_KEYS_SIDE, "limit: asyncssh, one probe", 2.0),
    Aim(SAME_KEYS, "check", 30, SAME_KEYS_SIDE, "pyinfra, 12 facts", 1.0),
    Aim(SAME_KEYS, "check", 30, SAME_KEYS_SIDE, "pyinfra, 1 fact (our probe)", 1.3),
    Aim("test row, wall time", "test", 30, "rawat: test row", "testinfra, connections reused", 1 / 5),
    Aim("patch row, wall time", "patch", 10, "rawat: patch row", "limit: apt-get by parallel ssh", 1.15),
    Aim(
        "runner over bare Ansible, wall",
        "overhead",
        30,
        "rawat: the row",
        "ansible-playbook, the same play",
        1.05,
    ),
    Aim(
        "journal of 100,000 records, read and folded",
        "journal",
        0,
        "rawat: read and fold",
        "limit: sha256sum",
        None,
    ),
    Aim("check row, wall time", "check", 100, "rawat: check row", "limit: asyncssh, one probe", 1.15),
    Aim(SAME_KEYS, "check", 100, SAME_KEYS_SIDE, "limit: asyncssh, one probe", 1.15),
    Aim(SAME_KEYS, "check", 100, SAME_KEYS_SIDE, "pyinfra, 12 facts", 1.0),
    Aim(SAME_KEYS, "check", 100, SAME_KEYS_SIDE, "pyinfra, 1 fact (our probe)", 1.3),
)

COST_AIMS = (
    CostAim(
        "controller CPU", "check", 100, "rawat: check row", "controller_cpu", 0.02, "s a host", a_host=True
    ),
    CostAim("controller memory", "check", 100, "rawat: check row", "peak_mb", 100, "MB", a_host=False),
)


def machine() -> str:
    """Return what the figures were measured on."""
    names = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    processor = names[0] if names else platform.machine()
    return f"{os.cpu_count()} cores ({processor}), {memory // 1024**2} GB, kernel {platform.release()}"


def versions() -> dict[str, str]:
    """Return the versions of what runs on our side."""
    return {"python": platform.python_version(), "our ansible-core": version("ansible-core")}


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def write(results: Results, folder: Path) -> None:
    """Write the page and the chart."""
    parts = [(WORDS / "head.md").read_text(encoding="utf-8").strip(), aims(results)]
    in_order = sorted(results, key=lambda key: (key.rpartition("-")[0], results[key]["hosts"]))
    parts += [part(key.rpartition("-")[0], results[key]) for key in in_order]
    parts += [(WORDS / "limits.md").read_text(encoding="utf-8").strip(), commands(results)]
    (folder / "performance.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    (folder / "performance.svg").write_text(chart(results), encoding="utf-8")


def aims(results: Results) -> str:
    """Return the table of the aims: each with its ratio, and whether it is reached."""
    rows = [
        "## Aims",
        "",
        "| what | hosts | against | aim | measured: median (least to most) | |",
        "|---|---|---|---|---|---|",
    ]
    for aim in AIMS:
        found, fewer = _found(results, aim)
        if fewer is None or aim.ours not in fewer["sides"] or aim.theirs not in fewer["sides"]:
            rows.append(
                f"| {aim.what} | {aim.hosts} | {aim.theirs} | {_times(aim.most)} | not measured yet | |"
            )
            continue
        told = ratios(fewer["sides"], aim.ours, aim.theirs)
        verdict = _verdict(found, median(told), aim.most or 0)
        verdict = _in_time(fewer["sides"][aim.ours]) if found and aim.most is None else verdict
        shown = f"{_times(median(told))} ({_times(min(told))} to {_times(max(told))})"
        rows.append(
            f"| {aim.what} | {fewer['hosts']} | {aim.theirs} | {_times(aim.most)} | {shown} | {verdict} |"
        )
    return "\n".join(rows + [_cost_row(results, aim) for aim in COST_AIMS])


def _found(results: Results, aim: Aim | CostAim) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return what was measured on the number of hosts that the aim names, and on that or on fewer."""
    found = results.get(f"{aim.bench}-{aim.hosts}")
    return found, found or next(
        (r for k, r in sorted(results.items()) if k.startswith(f"{aim.bench}-")), None
    )


def _cost_row(results: Results, aim: CostAim) -> str:
    found, fewer = _found(results, aim)
    head = f"check row, {aim.what}"
    wanted = f"{aim.most:g} {aim.unit}"
    if fewer is None:
        return f"| {head} | {aim.hosts} | | {wanted} | not measured yet | |"
    share = fewer["hosts"] if aim.a_host else 1
    told = [cost[aim.cost] / share for cost in fewer["sides"][aim.ours]]
    verdict = _verdict(found, median(told), aim.most)
    shown = f"{median(told):.3g} ({min(told):.3g} to {max(told):.3g}) {aim.unit}"
    return f"| {head} | {fewer['hosts']} | | {wanted} | {shown} | {verdict} |"


def _verdict(found: dict[str, Any] | None, told: float, most: float) -> str:
    if found is None:
        return "no verdict: fewer hosts than the aim names"
    return "reached" if told <= most else "**not reached**"


def _in_time(costs: list[dict[str, float]]) -> str:
    took = median([cost["seconds"] for cost in costs])
    return f"{took:.1f} s of {MOST_SECONDS:g} s: {'reached' if took <= MOST_SECONDS else '**not reached**'}"


def _times(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}x" if value >= 0.1 else f"{value:.3f}x"


def part(name: str, found: dict[str, Any]) -> str:
    """Return one bench: words, circumstances and the table of its sides."""
    hosts = f", {found['hosts']} hosts" if found["hosts"] else ""
    load = "load of the machine {} before, {} after".format(*found["load"])
    lines = [
        f"## {name}{hosts}",
        "",
        *(
            [(WORDS / f"{name}.md").read_text(encoding="utf-8").strip(), ""]
            if (WORDS / f"{name}.md").exists()
            else []
        ),
        f"{found['at'].replace('T', ' ')}, {found['rounds']} rounds; {found['machine']}; {load}.",
        ", ".join(f"{package} {number}" for package, number in found["versions"].items()) + ".",
        "",
    ]
    if "sides" in found:
        lines += side_table(found["sides"])
    for table in found.get("tables", []):
        lines += ["", *table]
    return "\n".join(lines)


def side_table(sides: dict[str, list[dict[str, float]]]) -> list[str]:
    """Return the table of what each side took."""
    least = min(sides, key=lambda name: median([cost["seconds"] for cost in sides[name]]))
    rows = [
        "| way | n | wall s: median (least to most) | x quickest | controller CPU s | host CPU s | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, costs in sides.items():
        wall = [cost["seconds"] for cost in costs]
        of_least = median(ratios(sides, name, least))
        figures = [
            median([cost[what] for cost in costs]) for what in ("controller_cpu", "host_cpu", "peak_mb")
        ]
        rows.append(
            f"| {name} | {len(costs)} | {median(wall):.2f} ({min(wall):.2f} to {max(wall):.2f})"
            f" | {of_least:.2f} | {figures[0]:.2f} | {figures[1]:.2f} | {figures[2]:.0f} |"
        )
    return rows


def commands(results: Results) -> str:
    """Return every side's command, so that anyone can run it again."""
    lines = ["## The commands", "", (WORDS / "commands.md").read_text(encoding="utf-8").strip(), "", "```sh"]
    seen = {}
    for found in results.values():
        seen.update(found.get("commands", {}))
    for name, command in seen.items():
        lines += [f"# {name}", command]
    return "\n".join([*lines, "```"])


def chart(results: Results) -> str:
    """Return an SVG: per bench, each side's median time as a bar, as a multiple of the quickest."""
    rows: list[tuple[str, float | None]] = []
    for key in sorted(results):
        sides = results[key].get("sides", {})
        if not sides:
            continue
        rows.append((f"{key.rpartition('-')[0]}, {results[key]['hosts']} hosts: times the quickest", None))
        middle = {name: median([cost["seconds"] for cost in costs]) for name, costs in sides.items()}
        least = min(middle, key=lambda name: middle[name])
        rows += [(name, median(ratios(sides, name, least))) for name in sides]
    height = 24 * len(rows) + 16
    most = max((value for _, value in rows if value), default=1.0)
    body = []
    for number, (text, value) in enumerate(rows):
        y = 24 * number + 24
        if value is None:
            body.append(f'<text x="8" y="{y}" font-weight="bold">{_xml(text)}</text>')
            continue
        # A square root: the longest bar is a hundred times the shortest.
        width = 420 * (value / most) ** 0.5
        colour = "#0b6e4f" if text.startswith("rawat") else "#9aa5b1"
        body.append(f'<text x="270" y="{y}" text-anchor="end">{_xml(text)}</text>')
        body.append(f'<rect x="278" y="{y - 12}" width="{width:.1f}" height="15" fill="{colour}"/>')
        body.append(f'<text x="{284 + width:.1f}" y="{y}">{value:.2f}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 {height}"'
        ' font-family="sans-serif" font-size="13">\n'
        "<title>How long each way takes, as a multiple of the quickest (lengths by square root)</title>\n"
        f'<rect width="780" height="{height}" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
