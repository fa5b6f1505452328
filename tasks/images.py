"""Where the pictures of a dataset are, and reading them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from f2rcli.tasks.errors import InputError

if TYPE_CHECKING:
    import PIL.Image

MAX_PIXELS = 100_000_000  # beyond any camera's chat photo; decoding one takes 300 MB


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Resolves the image paths of a dataset against its folders, in order.

    A data file says which files are opened on this machine, and it often comes from somebody else:
    a path that leaves the folders (`..`, absolute, a link out) is refused unless `allow_outside`.
    """

    folders: tuple[Path, ...]
    allow_outside: bool = False

    def resolve(self, path: str) -> Path:
        """The file for an image path as recorded. Raises InputError if there is none, or refused."""
        if "://" in path or path.startswith("data:"):
            raise InputError("is an address", where=_shown(path), fix="pictures must be local files")
        outside = None
        for folder in self.folders:
            candidate = folder / path
            try:
                found = candidate.is_file()
            except (OSError, ValueError):
                found = False  # a name that no file can have
            if not found:
                continue
            if self.allow_outside or self._holds(candidate.resolve()):
                return candidate.resolve()
            outside = outside or folder
        if outside:
            raise InputError(
                f"lies outside {outside}",
                where=_shown(path),
                fix="--allow-outside-images lets it be read",
            )
        looked = " or ".join(str(folder) for folder in self.folders)
        raise InputError(f"no such image under {looked}", where=_shown(path))

    def _holds(self, file: Path) -> bool:
        return any(file.is_relative_to(folder.resolve()) for folder in self.folders)


def _shown(path: str) -> str:
    return f"image {path if len(path) < 200 else path[:200] + '…'}"


# EXIF orientation → what turns the picture upright (ImageOps.exif_transpose also writes the EXIF block
# again, and fails on blocks that cameras get wrong)
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_ON_ITS_SIDE = ("TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
_ORIENTATION = 0x0112


def open_image(file: Path | str) -> PIL.Image.Image:
    """The picture as RGB, upright as its EXIF tag says. Raises InputError if it cannot be read."""
    import PIL.Image

    with _opened(file) as (image, turn):
        upright = image.transpose(PIL.Image.Transpose[turn]) if turn else image
        return _eight_bit(upright, file).convert("RGB")


def upright_size(file: Path | str) -> tuple[int, int]:
    """Width and height of what `open_image` gives, without decoding it. Raises InputError likewise."""
    with _opened(file) as (image, turn):
        return image.size if turn not in _ON_ITS_SIDE else (image.height, image.width)


@contextlib.contextmanager
def _opened(file: Path | str) -> Iterator[tuple[PIL.Image.Image, str | None]]:
    """A picture, and how it has to be turned; whatever goes wrong with it becomes an InputError."""
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is either our limit or harmless
            with PIL.Image.open(file) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(
                        f"{image.width} × {image.height} pixels are over the limit of "
                        f"{MAX_PIXELS // 1_000_000} million",
                        where=f"image {file}",
                    )
                yield image, _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except InputError:
        raise
    except PIL.Image.DecompressionBombError:
        raise InputError("absurdly many pixels", where=f"image {file}") from None
    except PIL.UnidentifiedImageError:
        raise InputError("not a picture", where=f"image {file}") from None
    except Exception as error:  # Pillow's readers raise whatever a faulty file makes them stumble over
        raise InputError(f"cannot be read ({error})", where=f"image {file}") from None


def _eight_bit(image: PIL.Image.Image, file: Path | str) -> PIL.Image.Image:
    """Grey pictures of more than 8 bits, scaled: Pillow would cut them off at white."""
    if image.mode.startswith("I;16"):
        import numpy as np
        import PIL.Image

        return PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        what = "more than 16 bits a pixel, whose range nobody knows"
        raise InputError(what, where=f"image {file}", fix="save it with 8 bits")
    return image
