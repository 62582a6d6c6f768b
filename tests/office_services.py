"""Real services as an office has them, started on a lab host the way a test wants them, good or broken."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from testinfra.host import Host

DOMAIN = "contoh.go.id"
SITE = f"www.{DOMAIN}"
PAGE = "<title>Balai Contoh</title>\n<h1>Beranda</h1>\n"
_NGINX = """\
daemon off;
user root;
pid /run/lab-situs.pid;
events {{}}
http {{
    access_log off;
    server {{
        listen 443 ssl;
        ssl_certificate /srv/situs/site.pem;
        ssl_certificate_key /srv/situs/site.key;
        root /srv/situs/www;
        {rules}
    }}
    server {{ listen 80; return 301 https://$host$request_uri; }}
}}
"""


@dataclass(frozen=True)
class Certificate:
    """PEM texts of a server's certificate and key, and of the authority that signed it."""

    site: bytes
    key: bytes
    authority: bytes


def certificate(
    *, names: tuple[str, ...] = (SITE,), days: float = 90, authority_days: float = 3000
) -> Certificate:
    """Return a new certificate for ``names`` that ends in so many days, and its authority's."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    issuer, subject = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Otoritas Contoh", "situs")
    )
    made = []
    for key, owner, lasts in ((keys[0], issuer, authority_days), (keys[1], subject, days)):
        builder = x509.CertificateBuilder(
            issuer_name=issuer,
            subject_name=owner,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=4000),
            # A minute more, so that the test's own time does not eat a day.
            not_valid_after=now + timedelta(days=lasts, minutes=1),
        )
        if owner is issuer:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        elif names:
            listed = [x509.DNSName(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(site=made[1], key=private, authority=made[0])


def put(host: Host, path: str, content: str | bytes) -> None:
    """Write a file on a host."""
    raw = content if isinstance(content, bytes) else content.encode()
    packed = base64.b64encode(raw).decode()
    host.check_output(f"mkdir -p $(dirname {path}) && echo {packed} | base64 -d > {path}")


def start(host: Host, unit: str, command: str) -> None:
    """Run a command as a unit of that name in place of what ran under it."""
    stop(host, unit)
    host.check_output(f"systemd-run --quiet --collect --unit={unit} --setenv=HOME=/root {command}")


def stop(host: Host, unit: str) -> None:
    """Stop a unit, if it runs."""
    host.run(f"systemctl stop {unit}.service; systemctl reset-failed {unit}.service")


def await_port(host: Host, port: int) -> None:
    """Wait until something listens on a TCP port of the host."""
    wait = f"for i in $(seq 200); do ss -Hltn sport = :{port} | grep -q . && exit 0; sleep 0.1; done; exit 1"
    host.check_output(f"sh -c '{wait}'")


def start_website(host: Host, made: Certificate, *, page: str = PAGE, rules: str = "") -> None:
    """Serve a page by nginx over TLS on 443; on 80 lead there."""
    put(host, "/srv/situs/site.pem", made.site)
    put(host, "/srv/situs/site.key", made.key)
    put(host, "/srv/situs/www/index.html", page)
    put(host, "/srv/situs/nginx.conf", _NGINX.format(rules=rules))
    start(host, "lab-situs", "nginx -c /srv/situs/nginx.conf")
    await_port(host, 443)


def start_names(host: Host, records: tuple[str, ...]) -> None:
    """Answer for the domain by dnsmasq on 53, with options such as ``host-record=NAME,ADDRESS``."""
    lines = ("no-resolv", "no-hosts", "user=root", f"local=/{DOMAIN}/", *records)
    put(host, "/srv/nama/dnsmasq.conf", "\n".join(lines) + "\n")
    start(host, "lab-nama", "dnsmasq --keep-in-foreground --conf-file=/srv/nama/dnsmasq.conf")
    await_port(host, 53)


def usual_records(address: str) -> tuple[str, ...]:
    """Return dnsmasq's options for the website at an address, its mail and its name server."""
    name_server = (
        "".join(f"{len(label):02x}{label.encode().hex()}" for label in ("ns1", *DOMAIN.split("."))) + "00"
    )
    return (
        f"host-record={SITE},{address},fd00::{address.rpartition('.')[2]}",
        f"host-record=ns1.{DOMAIN},{address}",
        f"mx-host={DOMAIN},mail.{DOMAIN},10",
        f"dns-rr={DOMAIN},2,{name_server}",
    )


def expected_records(address: str) -> list[dict[str, object]]:
    """Return what the role is told to expect of `usual_records`."""
    return [
        {"name": SITE, "type": "A", "values": [address]},
        {"name": SITE, "type": "AAAA", "values": [f"fd00::{address.rpartition('.')[2]}"]},
        {"name": DOMAIN, "type": "MX", "values": [f"10 mail.{DOMAIN}."]},
        {"name": DOMAIN, "type": "NS", "values": [f"ns1.{DOMAIN}."]},
    ]
