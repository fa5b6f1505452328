"""Pictures as they are sent: within the pixel limit, as JPEG, in base64."""

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image

QUALITY = 90  # of the JPEG, as in the release


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture: width and height in pixels, and the JPEG file in base64."""

    width: int
    height: int
    base64: str


def encode(file: str | None, max_pixels: int) -> Picture:
    """Raises InputError if there is no file or it cannot be read."""
    import PIL.Image

    if file is None:
        raise InputError("an image without a file")
    image = open_image(file)
    size = fitted(*image.size, max_pixels)
    if size != image.size:
        image = image.resize(size, PIL.Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=QUALITY)
    return Picture(*size, base64.b64encode(written.getvalue()).decode("ascii"))


def fitted(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The largest size of the same shape within the limit; a small picture stays as it is."""
    if width * height <= max_pixels:
        return width, height
    fit_width = max(1, math.isqrt(width * max_pixels // height))
    fit_height = max(1, math.isqrt(height * max_pixels // width))
    fit_height = max(1, min(fit_height, max_pixels // fit_width))  # a line has no shape to keep
    return min(fit_width, max_pixels // fit_height), fit_height


def described(max_pixels: int) -> dict[str, Any]:
    """What `encode` does to a picture, for run.json."""
    return {"max_pixels": max_pixels, "resample": "lanczos", "format": "JPEG", "quality": QUALITY}
