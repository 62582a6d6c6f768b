"""Signs with a certificate and its key in a PKCS#12 file (.p12, .pfx), by pyHanko: PAdES B-B, no network.

Whoever signs a document first prepares the fields of all its signatures and certifies that only they may be
filled after that. The file stays PDF/A-3: pyHanko would write metadata anew, in which two programs are named
differently in two places, and tell the file to be PDF 2.0 for some keys; both are left as they are.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner import errors, pades
from runner.signers.base import Task

_A_3 = (1, 7)
"""The PDF that PDF/A-3 is made of."""
_HINT = "nothing was recorded; try again"


@dataclass(frozen=True)
class Pkcs12Signer:
    """Holds the opened file until it is dropped; the passphrase is not kept."""

    certificate: Any
    key: Any = field(repr=False)
    others: tuple[Any, ...] = ()

    @staticmethod
    def opened(file: Path, passphrase: str) -> Pkcs12Signer:
        """Open a PKCS#12 file.

        Raises:
            DecisionRefusedError: when there is none, or it does not open with this passphrase.
        """
        from cryptography.hazmat.primitives.serialization import pkcs12  # noqa: PLC0415 - optional

        try:
            data = file.read_bytes()
        except OSError as error:
            raise errors.DecisionRefusedError(
                f"the certificate {file} cannot be read: {error.strerror}",
                hint="give the path of a .p12 file",
            ) from error
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(data, passphrase.encode() or None)
        except ValueError as error:
            raise errors.DecisionRefusedError(
                f"{file} does not open: the passphrase is wrong, or it is no PKCS#12 file", hint=_HINT
            ) from error
        if key is None or certificate is None:
            raise errors.DecisionRefusedError(f"{file} holds no certificate with its key", hint=_HINT)
        return Pkcs12Signer(certificate, key, tuple(others))

    def sign(self, task: Task) -> bytes:
        """Return the document with the signature added; see ``Signer``."""
        self._require_current()
        reader = pades.opened(task.base)
        rooms = pades.places(task.base)
        if task.place not in rooms:
            raise errors.DecisionRefusedError(f"the document keeps no room for this signature ({task.place})")
        with tempfile.TemporaryDirectory(prefix="rawat-stamp-") as folder:
            # pyHanko takes the stamp from a file only.
            stamp = Path(folder, "stamp.pdf")
            stamp.write_bytes(task.stamp)
            return self._signed(reader, rooms, task, stamp)

    def _require_current(self) -> None:
        begins, ends = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if not begins <= datetime.now(UTC) <= ends:
            raise errors.DecisionRefusedError(
                f"the certificate is good from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, not now",
                hint="have it renewed; until then the signature can be left out with a reason",
            )

    def _signed(self, reader: Any, rooms: dict[str, pades.Place], task: Task, stamp: Path) -> bytes:  # noqa: ANN401
        from pyhanko.pdf_utils.layout import AxisAlignment, Margins, SimpleBoxLayoutRule  # noqa: PLC0415
        from pyhanko.pdf_utils.misc import PdfError  # noqa: PLC0415
        from pyhanko.sign import fields, signers  # noqa: PLC0415
        from pyhanko.stamp import StaticStampStyle  # noqa: PLC0415

        writer = _writer(reader)
        first = not reader.embedded_signatures
        if first:
            for name, room in rooms.items():
                spec = fields.SigFieldSpec(
                    name, on_page=room.page, box=room.box, readable_field_name="Tanda tangan elektronik"
                )
                fields.append_signature_field(writer, spec)
        about = signers.PdfSignatureMetadata(
            field_name=task.place,
            subfilter=fields.SigSeedSubFilter.PADES,
            md_algorithm="sha256",
            certify=first,
            docmdp_permissions=fields.MDPPerm.FILL_FORMS,
            name=task.name,
            reason=task.reason,
            location=task.location or None,
        )
        whole = SimpleBoxLayoutRule(AxisAlignment.ALIGN_MIN, AxisAlignment.ALIGN_MIN, Margins.uniform(0))
        style = StaticStampStyle.from_pdf_file(
            str(stamp), border_width=0, background_opacity=1, background_layout=whole
        )
        try:
            made = signers.PdfSigner(about, self._signer(), stamp_style=style).sign_pdf(writer)
        except (PdfError, ValueError) as error:
            raise errors.DecisionRefusedError(f"the document was not signed: {error}", hint=_HINT) from error
        return bytes(made.getvalue())

    def _signer(self) -> Any:  # noqa: ANN401 - pyHanko's own
        from asn1crypto import keys, x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import serialization as serial  # noqa: PLC0415
        from pyhanko.sign import signers  # noqa: PLC0415
        from pyhanko_certvalidator.registry import SimpleCertificateStore  # noqa: PLC0415

        key = self.key.private_bytes(serial.Encoding.DER, serial.PrivateFormat.PKCS8, serial.NoEncryption())
        store = SimpleCertificateStore()
        for other in self.others:
            store.register(x509.Certificate.load(other.public_bytes(serial.Encoding.DER)))
        own = x509.Certificate.load(self.certificate.public_bytes(serial.Encoding.DER))
        return signers.SimpleSigner(own, keys.PrivateKeyInfo.load(key), store)


def _writer(reader: Any) -> Any:  # noqa: ANN401 - pyHanko's own
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter  # noqa: PLC0415

    class Writer(IncrementalPdfFileWriter):  # type: ignore[misc]  # the library is optional
        """Adds to a file and leaves its claims alone."""

        def ensure_output_version(self, version: tuple[int, int]) -> None:
            if version <= _A_3:
                super().ensure_output_version(version)

        def register_extension(self, ext: Any) -> None:  # noqa: ANN401 - pyHanko's own
            if str(ext.base_version) != "/2.0":
                super().register_extension(ext)

        def _update_meta(self) -> None:
            """Leave the metadata as they are: the document is the one that was made."""

    return Writer.from_reader(reader)
