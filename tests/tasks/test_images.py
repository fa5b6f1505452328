"""Which files a data file may open, and pictures that are none."""

import io
import struct
import zlib
from pathlib import Path

import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import ImageFolder, open_image
from f2rcli.tasks.visible import visible


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    """A folder with 图/猫.png in it and a secret beside it."""
    (tmp_path / "data/图").mkdir(parents=True)
    picture().save(tmp_path / "data/图/猫.png")
    picture().save(tmp_path / "secret.png")
    return ImageFolder((tmp_path / "data",))


def picture(mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> PIL.Image.Image:
    return PIL.Image.new(mode, size, 3 if mode in "LP" else None)


def refusal(folder: ImageFolder, path: str) -> str:
    with pytest.raises(InputError) as caught:
        folder.resolve(path)
    return str(caught.value)


def unreadable(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_image(path)
    return str(caught.value)


def outcome(path: Path) -> str:
    try:
        return open_image(path).mode
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("path", ["图/猫.png", "./图/猫.png", "图/../图/猫.png"])
def test_a_path_within_the_folder(path: str, folder: ImageFolder) -> None:
    assert folder.resolve(path) == (folder.folders[0] / "图/猫.png").resolve()


def test_folders_are_searched_in_order(folder: ImageFolder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "图").mkdir(parents=True)
    both = ImageFolder((other, folder.folders[0]))
    assert both.resolve("图/猫.png").parent.parent.name == "data"
    picture().save(other / "图/猫.png")
    assert both.resolve("图/猫.png").parent.parent.name == "other"


@pytest.mark.parametrize("kind", ["dots", "absolute", "link", "linked folder"])
def test_a_path_that_leaves_the_folder(kind: str, folder: ImageFolder, tmp_path: Path) -> None:
    data = folder.folders[0]
    (data / "link.png").symlink_to(tmp_path / "secret.png")
    (data / "up").symlink_to(tmp_path)
    paths = {"dots": "../secret.png", "link": "link.png", "linked folder": "up/secret.png"}
    path = paths.get(kind, f"{tmp_path}/secret.png")
    said = f"image {path}: lies outside {data}; --allow-outside-images lets it be read"
    assert refusal(folder, path) == said
    allowed = ImageFolder(folder.folders, allow_outside=True)
    assert allowed.resolve(path) == (tmp_path / "secret.png").resolve()


def test_a_link_within_the_folder_is_fine(folder: ImageFolder) -> None:
    (folder.folders[0] / "link.png").symlink_to(folder.folders[0] / "图/猫.png")
    assert folder.resolve("link.png").name == "猫.png"


def test_a_path_may_lie_in_any_of_the_folders(folder: ImageFolder, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    cat = folder.folders[0] / "图/猫.png"
    both = ImageFolder((tmp_path / "first", folder.folders[0]))
    assert both.resolve(str(cat)) == cat.resolve()
    assert f"lies outside {tmp_path}/first;" in refusal(both, str(tmp_path / "secret.png"))


def test_the_folder_itself_may_be_a_link(folder: ImageFolder, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(folder.folders[0])
    assert ImageFolder((tmp_path / "linked",)).resolve("图/猫.png").name == "猫.png"


@pytest.mark.parametrize("path", ["没有.png", "图", "", "a\0b", "x" * 300, "../没有.png"])
def test_no_such_picture(path: str, folder: ImageFolder) -> None:
    shown = f"{path[:200]}…" if len(path) > 200 else path
    said = f"image {shown}: no such image under {folder.folders[0]}"
    assert refusal(folder, path) == visible(said)


def test_a_link_to_itself_is_no_picture(folder: ImageFolder) -> None:
    (folder.folders[0] / "loop.png").symlink_to("loop.png")
    assert "no such image" in refusal(folder, "loop.png")


@pytest.mark.parametrize(
    "path", ["https://example.org/猫.png", "file:///etc/passwd", "data:image/png;base64,aa"]
)
def test_an_address_is_no_path(path: str, folder: ImageFolder) -> None:
    assert refusal(folder, path) == f"image {path}: is an address; pictures must be local files"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "1", "I;16"])
def test_every_picture_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    picture(mode).save(path)
    opened = open_image(path)
    assert (opened.mode, opened.size) == ("RGB", (6, 4))


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    made = picture(size=(2, 1))
    made.putpixel((0, 0), (255, 0, 0))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # "rotate 90° clockwise to show": what is left comes to the top
    made.save(tmp_path / "a.png", exif=exif)
    opened = open_image(tmp_path / "a.png")
    assert opened.size == (1, 2)
    assert [opened.getpixel((0, y)) for y in (0, 1)] == [(255, 0, 0), (0, 0, 0)]


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation: int, tmp_path: Path) -> None:
    made = picture(size=(3, 2))
    made.putdata([(value, 0, 0) for value in range(6)])
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    made.save(tmp_path / "a.png", exif=exif)
    with PIL.Image.open(tmp_path / "a.png") as image:
        expected = PIL.ImageOps.exif_transpose(image)
    opened = open_image(tmp_path / "a.png")
    assert (opened.size, opened.tobytes()) == (expected.size, expected.tobytes())


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [head, b"IDAT", b"IEND"]
    made = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


@pytest.mark.parametrize(
    ("side", "said"),
    [
        (10_001, "10001 × 10001 pixels are over the limit of 100 million"),
        (60_000, "absurdly many pixels"),
    ],
)
def test_a_picture_that_would_fill_the_memory(side: int, said: str, tmp_path: Path) -> None:
    path = tmp_path / "大.png"
    path.write_bytes(png_header(side, side))
    assert unreadable(path) == f"image {path}: {said}"


def test_a_picture_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "半.jpg"
    PIL.Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    said = unreadable(path)
    assert said.startswith(f"image {path}: cannot be read (image file is truncated")
    assert "\n" not in said


@pytest.mark.parametrize("raw", [b"", "这是文字".encode(), b"\x89PNG\r\n", b"GIF89a"])
def test_what_is_no_picture(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(raw)
    assert unreadable(path) == f"image {path}: not a picture"


def test_a_picture_that_is_gone(tmp_path: Path) -> None:
    assert unreadable(tmp_path / "a.png").startswith(f"image {tmp_path}/a.png: cannot be read (")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP"])
@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    hits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=20),
    cut=st.integers(0, 99),
)
def test_a_damaged_picture_is_a_picture_or_one_line(
    form: str, hits: list[tuple[int, int]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    buffer = io.BytesIO()
    PIL.Image.linear_gradient("L").resize((20, 20)).save(buffer, form)
    raw = bytearray(buffer.getvalue())
    for place, value in hits:
        raw[place % len(raw)] = value
    path = tmp_path_factory.getbasetemp() / f"damaged.{form}"
    path.write_bytes(raw[: len(raw) - cut])
    assert outcome(path).startswith(("RGB", f"image {path}: "))


def exif_entry(tag: int, kind: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag, kind, 1) + value


def test_a_faulty_exif_value_is_no_crash(tmp_path: Path) -> None:
    turned = exif_entry(0x112, 3, struct.pack("<HH", 6, 0))
    unit = exif_entry(0x128, 11, struct.pack("<f", 1.5))  # a resolution unit that is no whole number
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + turned + unit + bytes(4)
    picture().save(tmp_path / "a.jpg", exif=exif)
    assert open_image(tmp_path / "a.jpg").size == (4, 6)


def test_a_faulty_texture_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    sizes, pixels = struct.pack("<7I", 124, 0, 2, 2, 0, 0, 0), struct.pack("<2I", 32, 0)
    path.write_bytes(b"DDS " + sizes + bytes(44) + pixels + bytes(44))
    assert unreadable(path).startswith(f"image {path}: ")


def test_a_picture_with_a_transparent_palette_is_read_quietly(tmp_path: Path) -> None:
    picture("P").save(tmp_path / "a.png", transparency=b"\x10\x20\x30\x40")
    assert open_image(tmp_path / "a.png").mode == "RGB"


@pytest.mark.parametrize(("mode", "name"), [("I;16", "灰.png"), ("I;16B", "灰.tiff")])
def test_a_grey_picture_of_16_bits_keeps_its_levels(mode: str, name: str, tmp_path: Path) -> None:
    order = ">" if mode.endswith("B") else "<"
    ramp = struct.pack(f"{order}256H", *(level * 257 for level in range(256)))  # 0 … 65535
    PIL.Image.frombytes(mode, (256, 1), ramp).save(tmp_path / name)
    opened = open_image(tmp_path / name)
    assert [opened.getpixel((x, 0)) for x in range(256)] == [(x, x, x) for x in range(256)]


@pytest.mark.parametrize("mode", ["F", "I"])
def test_levels_whose_range_nobody_knows_are_refused(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    picture(mode).save(path)
    assert unreadable(path) == (
        f"image {path}: more than 16 bits a pixel, whose range nobody knows; save it with 8 bits"
    )
