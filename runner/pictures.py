"""Opens a logo as the maker of PDFs will, before a run keeps it: a torn picture would be found amid a run."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

from runner import errors

_MOST_PIXELS = 25_000_000
"""5,000 by 5,000: more than any paper shows of a logo, and less than memory is short of."""


@contextmanager
def _torn_ones_refused() -> Iterator[None]:
    """Have Pillow refuse what is torn: the maker of PDFs has it take anything, for the whole process."""
    takes = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = takes


def require_whole(data: bytes, where: str) -> None:
    """Refuse a picture that cannot be drawn.

    Raises:
        InputError: when it is torn, or has too many pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise errors.InputError(
                    f"{where}: has {picture.width} by {picture.height} pixels",
                    hint=f"save the logo with at most {_MOST_PIXELS} pixels",
                )
            with _torn_ones_refused():
                picture.load()
    # Pillow tells what is wrong with a file in all of these.
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise errors.InputError(
            f"{where}: is a picture that cannot be opened: {error}",
            hint="open it in a picture program and save it as PNG anew",
        ) from error
    except Image.DecompressionBombError as error:
        raise errors.InputError(
            f"{where}: has too many pixels", hint=f"save the logo with at most {_MOST_PIXELS} pixels"
        ) from error
