"""Making pictures fit."""

import base64
import io
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.adapters.api.pictures import encode, fitted
from f2rcli.tasks.errors import InputError

SIDES = st.integers(1, 20_000)


@given(SIDES, SIDES, st.integers(784, 1_000_000))
def test_it_fits_as_large_as_it_can_in_its_own_shape(width: int, height: int, most: int) -> None:
    fit_width, fit_height = fitted(width, height, most)
    assert 1 <= fit_width <= width
    assert 1 <= fit_height <= height
    assert fit_width * fit_height <= most
    if width * height <= most:
        assert (fit_width, fit_height) == (width, height)
    elif min(fit_width, fit_height) > 1:
        assert (fit_width + 1) * (fit_height + 1) > most
        assert abs(fit_width * height - fit_height * width) <= max(width, height)


def test_an_encoded_picture_is_upright_rgb_jpeg(tmp_path: Path) -> None:
    image = PIL.Image.new("RGBA", (300, 200), (10, 20, 30, 255))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "图.png", exif=exif)
    picture = encode(str(tmp_path / "图.png"), 15_000)
    assert (picture.width, picture.height) == (100, 150)
    decoded = PIL.Image.open(io.BytesIO(base64.b64decode(picture.base64)))
    assert (decoded.format, decoded.mode, decoded.size) == ("JPEG", "RGB", (100, 150))


def test_an_image_without_a_file() -> None:
    with pytest.raises(InputError, match="without a file"):
        encode(None, 1000)
