"""Writes archives to a folder for SRIKANDI: the documents, lists of them, and digests to check them by."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner import bag, errors, register, srikandi
from runner.bag_check import check_bag
from runner.canonical import canonical_json, sha256_hex
from runner.catalogue import Sealed
from runner.display import cell
from runner.export_items import items_of
from runner.files import make_private_dir, write_once
from runner.tree import list_tree

FILES, ITEMS, DIGESTS = "daftar-berkas.csv", "daftar-isi-berkas.csv", "sha256.txt"


def export(root: Path, archives: Sequence[Sealed], target: Path) -> list[Path]:
    """Write the documents of archives and their lists to a new folder; return the files.

    Args:
        root: the archive.
        archives: those to export; each is checked whole before anything of it is taken.
        target: the folder, which must not be there yet.

    Raises:
        InputError: when it is there, or an archive has no content any more.
        VerificationError: when an archive does not hold.
    """
    if target.exists():
        raise errors.InputError(f"{target} is there already", hint="give a folder that is not there yet")
    signers = (root / register.SIGNERS).read_bytes()
    written: dict[str, bytes] = {}
    files, items = [], []
    for number, found in enumerate(archives, start=1):
        if found.said is None or found.state == "musnah":
            raise errors.InputError(f"{found.entry.run} has no content that could be exported")
        tree = list_tree(root / found.entry.path)
        run = check_bag(tree, found.entry, signers)
        records = items_of(run.events, run.tree.read)
        names = [f"{found.entry.run}/{record.path}" for record in records]
        for name, record in zip(names, records, strict=True):
            written[name] = run.tree.read(record.path)
        written[f"{found.entry.run}/arsip.json"] = canonical_json(found.said)
        sealed = found.entry.tagmanifest_sha256
        files.append(srikandi.file_row(number, found.said, found.state, sealed, len(records)))
        items += srikandi.item_rows(number, found.said, records, names)
    written |= {FILES: as_csv(files), ITEMS: as_csv(items)}
    written[DIGESTS] = bag.manifest({name: sha256_hex(data) for name, data in written.items()})
    make_private_dir(target)
    return [write_once(target / name, data) for name, data in sorted(written.items())]


def as_csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Return rows as CSV that a spreadsheet takes for text: no cell begins as a formula does."""
    stream = io.StringIO()
    if rows:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return b"\xef\xbb\xbf" + stream.getvalue().encode()
