"""How a website is judged: what a visitor sees, its certificate, its DNS records, its domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from runner.judges.base import Finding, at_least, at_most, finding, unmeasured

_DAY = 86_400
_NOT_ANSWERED = "no answer"


def judge(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of a website.

    Args:
        facts: what the role's module measured.
        thresholds: ``statuses``, ``text``, ``slow_seconds``, ``timeout``, ``tls_warning_days``,
            ``tls_critical_days``, ``records`` (``name``, ``type``, ``values``), ``domain``,
            ``domain_expires`` (a date, or nothing), ``domain_warning_days``, ``domain_critical_days``.
    """
    return [
        *_page(facts, thresholds),
        *_certificate(facts, thresholds),
        *_records(facts, thresholds),
        _domain(facts, thresholds),
    ]


def _page(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    url, outcome = facts["url"], facts["outcome"]
    is_answered = outcome == "answered"
    yield finding("website_reachable", url, "good" if is_answered else "critical", outcome)
    if not is_answered:
        for code in ("website_status", "website_content", "website_response_time"):
            yield unmeasured(code, url, _NOT_ANSWERED)
        return
    if facts["redirect"]:
        yield finding("website_redirect", facts["target"], "critical", facts["redirect"])
        for code in ("website_status", "website_content"):
            yield unmeasured(code, url, "redirect")
    else:
        statuses = thresholds["statuses"]
        severity = "good" if facts["status"] in statuses else "critical"
        named = ", ".join(str(status) for status in statuses)
        yield finding("website_status", url, severity, facts["status"], "", named)
        yield _content(facts, thresholds["text"])
    slow, longest = thresholds["slow_seconds"], thresholds["timeout"]
    yield at_most("website_response_time", url, facts["seconds"], "seconds", slow, longest)


def _content(facts: Mapping[str, Any], text: str) -> Finding:
    if facts["has_text"] is None:
        return unmeasured("website_content", facts["url"], "no text is expected")
    found = ("good", "there") if facts["has_text"] else ("critical", "missing")
    return finding("website_content", facts["url"], *found, "", text)


def _certificate(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    url, tls = facts["url"], facts["tls"]
    if tls is None and url.startswith("http:"):
        yield finding("tls_absent", url, "notice")
        return
    if tls is None:
        for code in ("tls_expiry", "tls_name", "tls_chain"):
            yield unmeasured(code, url, _NOT_ANSWERED)
        return
    warning, critical = thresholds["tls_warning_days"], thresholds["tls_critical_days"]
    left = round(tls["seconds_left"] / _DAY, 1)
    if tls["seconds_left"] < 0:
        yield finding("tls_expired", url, "critical", -left, "days")
    elif not tls["began"]:
        yield finding("tls_not_yet_valid", url, "critical")
    else:
        yield at_least("tls_expiry", url, left, "days", warning, critical)
    severity = "good" if tls["is_for_name"] else "critical"
    yield finding("tls_name", url, severity, ", ".join(tls["names"]) or "-", "", tls["host"])
    yield finding("tls_chain", url, "good" if tls["chain"] == "ok" else "critical", tls["chain"])


def _records(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    for expected, said in zip(thresholds["records"], facts["records"], strict=True):
        subject = f"{said['type']} {said['name']}"
        wanted = sorted(" ".join(str(value).split()).lower().rstrip(".") for value in expected["values"])
        if said["status"] in {"no answer", "refused"}:
            # The name server is at fault, not the record: nobody knows what the record is.
            yield finding("dns_resolver", subject, "critical", said["status"])
            yield unmeasured("dns_record", subject, said["status"])
        else:
            measured = ", ".join(said["values"]) or said["status"]
            severity = "good" if said["values"] == wanted else "critical"
            yield finding("dns_record", subject, severity, measured, "", ", ".join(wanted))
    if not thresholds["records"]:
        yield unmeasured("dns_record", facts["url"], "no record is expected")


def _domain(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Finding:
    """A registration's end is known to the registry alone; the office may have written it down."""
    domain, expires = thresholds["domain"], str(thresholds["domain_expires"] or "")
    if not expires:
        return unmeasured("domain_expiry", domain, "no date is known")
    left = (date.fromisoformat(expires) - date.fromisoformat(facts["today"])).days
    if left < 0:
        return finding("domain_expired", domain, "critical", -left, "days")
    warning, critical = thresholds["domain_warning_days"], thresholds["domain_critical_days"]
    return at_least("domain_expiry", domain, left, "days", warning, critical)
