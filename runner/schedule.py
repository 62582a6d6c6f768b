"""The systemd units that start a run of a SOP again and again, and that remind. Text only, no disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_EVERY = {"monthly": "*-*-01 08:00:00", "weekly": "Mon *-*-* 08:00:00"}
_HOURLY = "*-*-* *:05:00"


@dataclass(frozen=True)
class Schedule:
    """What is started, as whom, when and where."""

    sop: str
    title: str
    inventory: str
    operator: str | None
    every: str
    timezone: str
    command: Sequence[str]
    root: str
    environment: Sequence[tuple[str, str]] = ()

    @property
    def calendar(self) -> str:
        """Return when it starts, as systemd reads it; the office's own zone where the words name none."""
        return f"{_EVERY[self.every]} {self.timezone}" if self.every in _EVERY else self.every


def units(schedule: Schedule, name: str) -> dict[str, str]:
    """Return the unit files by name: start a run of the SOP, and remind of what waits."""
    operator = ["--operator", schedule.operator] if schedule.operator else []
    start = [*schedule.command, "run", schedule.sop, "-i", schedule.inventory, *operator]
    run, remind = f"rawat-{name}", "rawat-remind"
    about = _escaped(f"Rawat: {schedule.title}")
    return {
        f"{run}.service": _service(schedule, about, start),
        f"{run}.timer": _timer(about, schedule.calendar),
        f"{remind}.service": _service(schedule, "Rawat: reminders", [*schedule.command, "remind"]),
        f"{remind}.timer": _timer("Rawat: reminders", _HOURLY),
    }


def _service(schedule: Schedule, about: str, command: Sequence[str]) -> str:
    environment = [f"Environment={_quoted(f'{name}={value}')}" for name, value in schedule.environment]
    return "\n".join(
        [
            "[Unit]",
            f"Description={about}",
            "Wants=network-online.target",
            "After=network-online.target",
            "",
            "[Service]",
            "Type=oneshot",
            f"WorkingDirectory={_escaped(schedule.root)}",
            *environment,
            f"ExecStart={' '.join(_quoted(word) for word in command)}",
            "# 3: it waits at a gate or for a maintenance window, as it should.",
            "SuccessExitStatus=3",
            "# Without a terminal a run stops at its first gate and holds no process there.",
            "StandardInput=null",
            "# Hosts are worked on for as long as it takes; who waits too long is reminded.",
            "TimeoutStartSec=infinity",
            "UMask=0077",
            "",
        ]
    )


def _timer(about: str, calendar: str) -> str:
    return "\n".join(
        [
            "[Unit]",
            f"Description={about}",
            "",
            "[Timer]",
            f"OnCalendar={calendar}",
            "# A machine that was off at that time starts it when it is on again.",
            "Persistent=true",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _escaped(text: str) -> str:
    """Return one line of text in which systemd sees no specifier (systemd.unit)."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """Return a word of a command line in which systemd sees neither specifier nor variable."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"'
