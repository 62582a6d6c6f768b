"""Certificates of a made-up authority, as PKCS#12 files, and a document with rooms for signatures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from fakes import START

from runner.pdf import render_pdf

PASSPHRASE = "kata sandi p12"
BEGINS, ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
ROOMS = ("ttd-2-1", "ttd-3-1")
PAGE = """<!doctype html><html lang="id"><head><title>Laporan</title><style>
@page { size: A4; margin: 20mm } html { font-family: "Liberation Sans" } td { height: 16mm; width: 55mm }
</style></head><body><h1>Laporan</h1><p>Dua host diperbarui.</p>
<table><tr><td id="ttd-2-1"></td><td id="ttd-3-1"></td></tr></table></body></html>"""

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def document() -> bytes:
    """Return a small document with room for two signatures, made as all documents are."""
    return render_pdf(PAGE, "Laporan", START, ("laporan.json", b"{}\n"))


@cache
def stamp() -> bytes:
    """Return a stamp that is as large as such a room."""
    style = '@page { size: 155pt 45pt; margin: 0 } html { font: 6pt "Liberation Sans" }'
    words = "<p>Ditandatangani secara elektronik</p>"
    html = f'<!doctype html><html lang="id"><title>Stempel</title><style>{style}</style>{words}</html>'
    return render_pdf(html, "Stempel", START, None)


@dataclass(frozen=True)
class Authority:
    """An authority that issues certificates."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, name: str, file: Path, *, ends: datetime = ENDS, signs: bool = True, elliptic: bool = True
    ) -> Path:
        """Write the certificate and key of ``name`` into a PKCS#12 file."""
        key: Key = ec.generate_private_key(ec.SECP256R1()) if elliptic else _rsa()
        made = _certificate(name, key, self, ends, signs=signs)
        locked = serialization.BestAvailableEncryption(PASSPHRASE.encode())
        bundle = pkcs12.serialize_key_and_certificates(name.encode(), key, made, [self.certificate], locked)
        file.write_bytes(bundle)
        file.chmod(0o600)
        return file


def authority(name: str = "Otoritas Contoh") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(_certificate(name, key, None, ENDS, signs=False), key)


@cache
def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _certificate(
    name: str, key: Key, issuer: Authority | None, ends: datetime, *, signs: bool
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_authority = issuer is None
    usage = x509.KeyUsage(
        digital_signature=signs,
        content_commitment=signs,
        key_encipherment=not signs and not is_authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    begins = min(BEGINS, ends - timedelta(days=1))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
