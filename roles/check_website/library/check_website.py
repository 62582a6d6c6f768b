#!/usr/bin/python
"""Ansible module: looks at one website from the controller, as a visitor does, and changes nothing.

Rules kept here: the name is asked of the office's own resolver when one is given; redirects are followed a
few times and to this website only, so that a site that was broken into cannot send the controller about the
office's network; a certificate that is not valid is looked at all the same, and so is the page behind it.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from ansible.module_utils import names
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.peers import deadline, printable, why_not
from cryptography import x509

DOCUMENTATION = """
module: check_website
short_description: Look at a website as a visitor does
options:
  url: {type: str, required: true, description: The page, http or https}
  text: {type: str, default: "", description: What has to stand on the page}
  redirects: {type: int, default: 5, description: How many redirects are followed}
  redirect_hosts: {type: list, elements: str, default: [], description: Other hosts it may lead to}
  records: {type: list, elements: dict, default: [], description: name and type of each DNS record to ask for}
  resolver: {type: str, default: "", description: Address of the name server, the system's when empty}
  ca_file: {type: str, default: "", description: Authorities that are trusted, the system's when empty}
  timeout: {type: int, default: 15, description: Seconds for the page, and again for the DNS records}
  max_bytes: {type: int, default: 1000000, description: How much of the page is read}
author: Rawat
"""
EXAMPLES = """
- name: Look at the website
  check_website: {url: "https://www.example.go.id/", text: Beranda}
"""
RETURN = """
facts: {type: dict, returned: always, description: What was measured}
"""

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: an expired certificate's chain is judged for the rest."""
_OUT_OF_TIME = {9, 10}
"""OpenSSL's codes for a certificate that is not valid yet or any more."""
_MOST_NAMES = 20


class NoNameError(Exception):
    """The website's name has no address; says why."""


class Visit:
    """What is asked of a website and what it came to."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted = wanted
        self.hops: list[str] = []
        self.tls: dict[str, Any] | None = None


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a website."""
    visit = Visit(wanted)
    page: dict[str, Any] = {"outcome": "timeout", "redirect": "", "status": None}
    try:
        with deadline(wanted["timeout"]):
            page |= follow(visit)
    except NoNameError as error:
        page["outcome"] = str(error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        page |= {"outcome": why_not(error), "error": printable(error)}
    return {
        "url": wanted["url"],
        "today": datetime.now().astimezone().date().isoformat(),
        **page,
        "hops": [printable(hop) for hop in visit.hops],
        "tls": visit.tls,
        "records": measure_records(wanted),
    }


def follow(visit: Visit) -> dict[str, Any]:
    """Get the page, by way of the redirects that are allowed."""
    url = visit.wanted["url"]
    while True:
        visit.hops.append(url)
        page, target = get(visit, urlsplit(url))
        if not target:
            return page
        url = urljoin(url, target)
        if problem := why_not_there(visit, urlsplit(url)):
            return {**page, "redirect": problem, "target": printable(url)}


def why_not_there(visit: Visit, there: SplitResult) -> str:
    """Return why a redirect is not followed, or nothing."""
    first = urlsplit(visit.wanted["url"])
    own = {bare(first.hostname), *map(bare, visit.wanted["redirect_hosts"])}
    if len(visit.hops) > visit.wanted["redirects"]:
        return "too many"
    if there.scheme not in {"http", "https"} or bare(there.hostname) not in own:
        return "elsewhere"
    was_safe = urlsplit(visit.hops[-1]).scheme == "https"
    return "unencrypted" if was_safe and there.scheme == "http" else ""


def bare(host: str | None) -> str:
    """Return a host's name without what makes no other website of it."""
    return (host or "").lower().rstrip(".").removeprefix("www.")


def get(visit: Visit, url: SplitResult) -> tuple[dict[str, Any], str]:
    """Ask for one page; return what came, and where it leads to if it is a redirect."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(url.hostname or "", timeout=visit.wanted["timeout"])
    connection.sock = connect(visit, url)
    try:
        path = url.path or "/"
        connection.request(
            "GET",
            f"{path}?{url.query}" if url.query else path,
            headers={
                "Host": url.netloc.rpartition("@")[2],
                "User-Agent": "rawat-check",
                "Connection": "close",
            },
        )
        answer = connection.getresponse()
        body = answer.read(visit.wanted["max_bytes"])
    finally:
        connection.close()
    text = visit.wanted["text"]
    page = {
        "outcome": "answered",
        "status": answer.status,
        "seconds": round(time.monotonic() - began, 3),
        "bytes": len(body),
        "has_text": text.encode() in body if text else None,
        "server": printable(answer.getheader("Server", "")),
    }
    is_redirect = answer.status in {301, 302, 303, 307, 308}
    return page, (answer.getheader("Location", "") if is_redirect else "")


def connect(visit: Visit, url: SplitResult) -> socket.socket:
    """Return a connection to a page's server; of the first encrypted one, the certificate is looked at."""
    address = address_of(visit, url.hostname or "")
    port = url.port or (443 if url.scheme == "https" else 80)
    timeout = visit.wanted["timeout"]
    if url.scheme == "http":
        return socket.create_connection((address, port), timeout=timeout)
    problem = ""
    for context in contexts(visit.wanted["ca_file"]):
        plain = socket.create_connection((address, port), timeout=timeout)
        try:
            encrypted = context.wrap_socket(plain, server_hostname=url.hostname)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            # Why the strictest look failed, unless only the leaf's time was wrong, which is told apart.
            problem = (
                problem
                if error.verify_code in _OUT_OF_TIME and not problem
                else printable(error.verify_message)
            )
            continue
        except BaseException:
            plain.close()
            raise
        if visit.tls is None:
            visit.tls = look_at(encrypted, url.hostname or "")
            visit.tls["chain"] = chain_of(context, problem, visit.tls)
        return encrypted
    raise ssl.SSLError("no handshake")


def contexts(ca_file: str) -> list[ssl.SSLContext]:
    """Return how a server is spoken to: as a browser would, then whatever its dates, then whatever it is."""
    strict = ssl.create_default_context(cafile=ca_file or None)
    strict.check_hostname = False
    timeless = ssl.create_default_context(cafile=ca_file or None)
    timeless.check_hostname = False
    timeless.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    lenient = ssl.create_default_context()
    lenient.check_hostname = False
    lenient.verify_mode = ssl.CERT_NONE
    return [strict, timeless, lenient]


def chain_of(context: ssl.SSLContext, problem: str, tls: dict[str, Any]) -> str:
    """Return `ok`, or what is wrong with the way from the certificate to a trusted authority."""
    if context.verify_mode == ssl.CERT_NONE:
        return problem or "not valid"
    if context.verify_flags & _NO_CHECK_TIME and tls["seconds_left"] > 0 and tls["began"]:
        return "an authority's certificate has expired"
    return "ok"


def look_at(connection: ssl.SSLSocket, host: str) -> dict[str, Any]:
    """Return what a server's certificate says."""
    certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    now = datetime.now(UTC)
    listed = names_of(certificate)
    ends, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    return {
        "host": printable(host),
        "protocol": connection.version(),
        "not_after": ends.isoformat(),
        "seconds_left": int((ends - now).total_seconds()),
        "began": begins <= now,
        "names": [printable(name) for name in listed[:_MOST_NAMES]],
        "is_for_name": any(is_name(host, name) for name in listed),
        "issuer": printable(certificate.issuer.rfc4514_string()),
    }


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the names and addresses a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def is_name(host: str, name: str) -> bool:
    """Tell whether a certificate's name stands for a host; a star stands for one label (RFC 6125)."""
    host, name = host.lower().rstrip("."), name.lower().rstrip(".")
    if name.startswith("*.") and "." in name[2:]:
        return host.partition(".")[2] == name[2:]
    return host == name


def address_of(visit: Visit, host: str) -> str:
    """Return the address a page's host has by the office's resolver, or by the system's."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    resolver = visit.wanted["resolver"]
    if not resolver:
        try:
            return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
        except socket.gaierror as error:
            raise NoNameError("no such name") from error
    asking = names.resolver_at(resolver, visit.wanted["timeout"] / 3)
    for kind in ("A", "AAAA"):
        found = names.look_up(asking, host, kind)
        addresses = [value for value in found["values"] if is_address(value)]
        if addresses:
            return addresses[0]
        if found["status"] == "no answer":
            break
    raise NoNameError("name server " + found["status"] if "name" not in found["status"] else found["status"])


def is_address(value: str) -> bool:
    """Tell whether a record's value is an address, and no alias on the way to it."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def measure_records(wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the name server says of each expected record."""
    found = []
    ends = time.monotonic() + wanted["timeout"]
    for record in wanted["records"]:
        left = ends - time.monotonic()
        said: dict[str, Any] = {"status": "no answer", "values": []}
        if left > 0:
            said = names.look_up_within(record["name"], (record["type"],), wanted["resolver"], left)
        found.append({"name": record["name"], "type": record["type"], **said})
    return found


def problem_with(wanted: dict[str, Any]) -> str:
    """Return what the inventory says of a website that cannot be; empty when nothing."""
    try:
        url = urlsplit(wanted["url"])
        if url.scheme not in {"http", "https"} or not url.hostname or url.port == 0:
            return f"{wanted['url']} is no address of a page: give http://... or https://..."
    except ValueError as error:
        return f"{wanted['url']} is no address of a page: {error}"
    try:
        names.resolver_at(wanted["resolver"], 1)
    except ValueError as error:
        return f"the name server {wanted['resolver']} is not ADDRESS or ADDRESS:PORT: {error}"
    if not all({"name", "type", "values"} <= set(record) for record in wanted["records"]):
        return "each of the DNS records needs name, type and values"
    try:
        contexts(wanted["ca_file"])
    except (OSError, ssl.SSLError) as error:
        return f"the authorities in {wanted['ca_file']} cannot be read: {error}"
    return ""


def main() -> None:
    """Measure and leave."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "text": {"type": "str", "default": ""},
            "redirects": {"type": "int", "default": 5},
            "redirect_hosts": {"type": "list", "elements": "str", "default": []},
            "records": {"type": "list", "elements": "dict", "default": []},
            "resolver": {"type": "str", "default": ""},
            "ca_file": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 15},
            "max_bytes": {"type": "int", "default": 1_000_000},
        },
        supports_check_mode=True,
    )
    if problem := problem_with(module.params):
        module.fail_json(msg=problem)
    module.exit_json(changed=False, facts=measure(module.params))


if __name__ == "__main__":
    main()
