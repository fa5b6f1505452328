"""Where the pictures of a dataset are, and reading them."""

from __future__ import annotations

import warnings
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
        for folder in self.folders:
            candidate = folder / path
            try:
                found = candidate.is_file()
            except (OSError, ValueError):
                found = False  # a name that no file can have
            if not found:
                continue
            inside = candidate.resolve().is_relative_to(folder.resolve())
            if not inside and not self.allow_outside:
                raise InputError(
                    f"lies outside {folder}",
                    where=_shown(path),
                    fix="--allow-outside-images lets it be read",
                )
            return candidate.resolve()
        looked = " or ".join(str(folder) for folder in self.folders)
        raise InputError(f"no such image under {looked}", where=_shown(path))


def _shown(path: str) -> str:
    return f"image {path if len(path) < 200 else path[:200] + '…'}"


def open_image(file: Path | str) -> PIL.Image.Image:
    """The picture as RGB, upright as its EXIF tag says. Raises InputError if it cannot be read."""
    import PIL.Image
    import PIL.ImageOps

    try:
        with warnings.catch_warnings():  # Pillow warns of large pictures; ours is the limit
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(file) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(
                        f"{image.width} × {image.height} pixels are over the limit of "
                        f"{MAX_PIXELS // 1_000_000} million",
                        where=f"image {file}",
                    )
                return PIL.ImageOps.exif_transpose(image).convert("RGB")
    except PIL.Image.DecompressionBombError:
        raise InputError("absurdly many pixels", where=f"image {file}") from None
    except PIL.UnidentifiedImageError:
        raise InputError("not a picture", where=f"image {file}") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", where=f"image {file}") from None
