"""Compares a host with the updates that were approved for it.

Approved is a package with its version before and after; everything that differs from it is refused, in words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ansible.module_utils import debian_packages as packages

try:
    import apt_pkg
except ImportError:
    apt_pkg = None

HAS_APT = apt_pkg is not None
RUNNING_KERNEL = (
    "it is the running kernel: start the old one, which is still installed, then remove it by hand"
)


class Approved(NamedTuple):
    """One approved update; `before` is "" where the package was not installed."""

    package: str
    before: str
    after: str


class Verdict(NamedTuple):
    """What the probe of the host says about the approved updates."""

    pending: dict[str, str]
    already: list[dict[str, str]]
    refused: list[dict[str, str]]


class Offer(NamedTuple):
    """What the sources of the host offer for a package."""

    candidate: str
    versions: frozenset[str]


def judge(
    approved: list[Approved],
    states: dict[str, packages.PackageState],
    offers: dict[str, Offer],
    *,
    continues: bool,
) -> Verdict:
    """Compare the host with what was approved.

    A package in an unfinished state is accepted only when this very run left it so (`continues`).
    """
    pending, already, refused = {}, [], []
    for update in approved:
        state = states.get(update.package)
        offer = offers.get(update.package, Offer("", frozenset()))
        if state and state.is_settled and state.version == update.after:
            already.append({"package": update.package, "version": update.after})
            continue
        reason = refusal_reason(update, state, offer, continues=continues)
        if reason is None:
            pending[update.package] = update.after
        else:
            refused.append(refusal(update, state, offer, reason))
    return Verdict(pending, already, refused)


def refusal_reason(
    update: Approved, state: packages.PackageState | None, offer: Offer, *, continues: bool
) -> str | None:
    """Return why the update may not be installed as it was approved, None when it may."""
    if state is None and update.before:
        return "the package is no longer installed"
    if state is None:
        return _not_offered(update, offer)
    if state.is_held:
        return "the package was put on hold"
    if not state.is_settled and not continues:
        return f"dpkg left it unfinished ({state.status}) in work that this run did not start"
    if state.version not in {update.before, update.after}:
        return f"version {state.version} is installed, neither the old nor the new one approved"
    return _not_offered(update, offer)


def _not_offered(update: Approved, offer: Offer) -> str | None:
    if update.after in offer.versions:
        return None
    return f"the approved version is no longer offered (offered now: {offer.candidate or 'nothing'})"


def is_before(update: Approved, state: packages.PackageState | None) -> bool:
    """Whether the package stands as it was before the update, with nothing left to do."""
    if state is None:
        return not update.before
    return state.is_settled and state.version == update.before


def refusal(
    update: Approved, state: packages.PackageState | None, offer: Offer, reason: str
) -> dict[str, str]:
    """Return the evidence of one refused update."""
    return {
        "package": update.package,
        "approved_from": update.before,
        "approved_to": update.after,
        "found": state.version if state else "",
        "candidate": offer.candidate,
        "reason": reason,
    }


def foreign_unfinished(
    states: dict[str, packages.PackageState], approved: list[Approved]
) -> list[dict[str, str]]:
    """Refuse other packages that are unfinished: apt would finish them too, and nobody approved that."""
    ours = {update.package for update in approved}
    unfinished = {name: state for name, state in states.items() if not state.is_settled and name not in ours}
    reason = "dpkg left it unfinished ({}); it is not part of the approved plan"
    return [
        refusal(Approved(name, "", ""), state, Offer("", frozenset()), reason.format(state.status))
        for name, state in sorted(unfinished.items())
    ]


def cut_short() -> dict[str, str]:
    """Refuse a host on which dpkg was cut short by others: finishing their work is not part of the plan."""
    reason = "dpkg was cut short in work that this run did not start"
    return refusal(Approved("dpkg", "", ""), None, Offer("", frozenset()), reason)


def read_offers(names: list[str]) -> dict[str, Offer]:
    """Return what the sources offer now for each package."""
    apt_pkg.init()
    cache = apt_pkg.Cache(progress=None)
    policy = apt_pkg.DepCache(cache)
    return {name: _offer(policy, cache[name]) for name in names if name in cache}


def _offer(policy: apt_pkg.DepCache, package: apt_pkg.Package) -> Offer:
    candidate = policy.get_candidate_ver(package)
    versions = frozenset(version.ver_str for version in package.version_list if version.downloadable)
    return Offer(candidate.ver_str if candidate else "", versions)


def needed_by_others(names: list[str]) -> list[str]:
    """Return which of these installed packages another installed one depends on."""
    if not names:
        return []
    apt_pkg.init()
    cache = apt_pkg.Cache(progress=None)
    return [name for name in names if name in cache and _is_needed(cache[name])]


def _is_needed(package: apt_pkg.Package) -> bool:
    return any(
        need.dep_type_untranslated in {"Depends", "PreDepends"}
        and need.parent_pkg.current_ver == need.parent_ver
        for need in package.rev_depends_list
    )


def changes_between(
    before: dict[str, packages.PackageState], after: dict[str, packages.PackageState]
) -> list[dict[str, str]]:
    """Return every package whose version differs, named or not in the plan."""
    names = sorted(before.keys() | after.keys())
    gone = packages.PackageState("", "")
    pairs = [(name, before.get(name, gone).version, after.get(name, gone).version) for name in names]
    return [{"package": name, "from": old, "to": new} for name, old, new in pairs if old != new]


def drift_message(refused: list[dict[str, str]]) -> str:
    """Return one sentence for each refused package, in the words of the approver."""
    said = [
        f"{r['package']} (approved {r['approved_from'] or 'none'} to {r['approved_to']},"
        f" found {r['found'] or 'none'}):"
        f" {r['reason']}"
        for r in refused
    ]
    return f"Nothing installed, the host is not as it was approved. {'; '.join(said)}"


def all_changes(ours: list[dict[str, str]], now: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return what the run changed since it began, and what else changed in this call."""
    named = {change["package"] for change in ours}
    return ours + [change for change in now if change["package"] not in named]


def ended(
    write_marker: Callable[[str], None], evidence: dict[str, Any], problems: list[str]
) -> tuple[dict[str, Any], str]:
    """Note down the end of the work; return the evidence and, when the host failed, why."""
    try:
        write_marker("failed" if problems else "applied")
    except OSError as error:
        problems.append(f"the end of the work could not be noted down: {error}")
    evidence["outcome"] = "failed" if problems else "applied"
    return evidence, f"Not all approved updates are in effect: {'; '.join(problems)}" if problems else ""
