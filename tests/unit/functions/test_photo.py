"""From bytes to facts and thumbnails."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.unit.functions.conftest import FUNCTIONS, PHOTOS
from tidemill.testing import load_module

photo = load_module(FUNCTIONS / "process-job", "photo")


def develop(data: bytes, max_pixels: int = 40_000_000) -> Any:
    return photo.develop(data, max_pixels=max_pixels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(thumbnail: Any) -> Image.Image:
    image = Image.open(io.BytesIO(thumbnail.data))
    image.load()
    return image


def test_facts() -> None:
    """What it is, without anything of where and when it was taken."""
    data = (PHOTOS / "coffee.jpg").read_bytes()
    assert develop(data).facts == {
        "format": "JPEG",
        "width": 600,
        "height": 400,
        "mode": "RGB",
        "frames": 1,
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_nothing_of_the_exif_data_survives() -> None:
    """The example has a camera and a GPS position; its thumbnails have not."""
    source = (PHOTOS / "coffee.jpg").read_bytes()
    with Image.open(io.BytesIO(source)) as original:
        assert original.getexif().get_ifd(0x8825) and b"Example Camera" in source
    for thumbnail in develop(source).thumbnails:
        assert b"Exif" not in thumbnail.data and b"Example Camera" not in thumbnail.data
        assert not opened(thumbnail).getexif()


def test_comments_and_profiles_go_too() -> None:
    """JPEG and GIF comments, PNG texts, colour profiles."""
    image = Image.new("RGB", (8, 8))
    jpeg = encoded(image, "JPEG", comment=b"home address", icc_profile=b"profile-of-mine")
    for data in (jpeg, encoded(image, "GIF", comment=b"home address")):
        for thumbnail in develop(data).thumbnails:
            assert b"home address" not in thumbnail.data and b"profile-of-mine" not in thumbnail.data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbnails_stand_upright(orientation: int, kind: str) -> None:
    """However the camera was held: the red corner is at the top left."""
    upright = Image.new("RGB", (200, 100), "white")
    upright.paste((255, 0, 0), (0, 0, 100, 50))
    turns = Image.Transpose
    stored = {
        1: [],
        2: [turns.FLIP_LEFT_RIGHT],
        3: [turns.ROTATE_180],
        4: [turns.FLIP_TOP_BOTTOM],
        5: [turns.TRANSPOSE],
        6: [turns.ROTATE_90],
        7: [turns.TRANSVERSE],
        8: [turns.ROTATE_270],
    }[orientation]
    turned = upright
    for turn in stored:
        turned = turned.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = develop(encoded(turned, kind, exif=exif))
    assert (found.facts["width"], found.facts["height"]) == (200, 100)
    for thumbnail in found.thumbnails:
        image = opened(thumbnail)
        assert image.size == (thumbnail.width, thumbnail.height)
        red, green, _ = image.getpixel((5, 5))  # type: ignore[misc]
        assert red > 200 and green < 60
        assert min(image.getpixel((image.width - 5, image.height - 5))) > 200  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (160, 160), (3000, 10), (10, 3000), (1000, 800)])
def test_thumbnails_fit_and_are_never_enlarged(size: tuple[int, int]) -> None:
    """And keep the proportions, at least one pixel each way."""
    for thumbnail, side in zip(develop(encoded(Image.new("RGB", size), "PNG")).thumbnails, (640, 160), strict=True):
        factor = min(1, side / max(size))
        assert thumbnail.width == pytest.approx(max(1, size[0] * factor), abs=1)
        assert thumbnail.height == pytest.approx(max(1, size[1] * factor), abs=1)
        assert max(thumbnail.width, thumbnail.height) <= side


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("P", "GIF"), ("RGB", "BMP"), ("RGBA", "PNG"),
     ("RGBA", "WEBP"), ("CMYK", "JPEG"), ("L", "JPEG"), ("I;16", "PNG"), ("I;16", "TIFF"), ("F", "TIFF"),
     ("CMYK", "TIFF"), ("YCbCr", "TIFF"), ("LAB", "TIFF")],
)  # fmt: skip
def test_every_colour_mode_is_drawn(mode: str, kind: str) -> None:
    """Transparent ones stay so, as PNG; all others become JPEG."""
    image = Image.new(mode, (300, 200))
    for thumbnail in develop(encoded(image, kind)).thumbnails:
        drawn = opened(thumbnail)
        transparent = mode in ("LA", "RGBA")
        assert (drawn.format, drawn.mode) == (("PNG", "RGBA") if transparent else ("JPEG", "RGB"))
        assert thumbnail.content_type == ("image/png" if transparent else "image/jpeg")


def test_sixteen_bits_keep_their_light() -> None:
    """A mid-grey of 16 bits is a mid-grey, not white."""
    image = Image.new("I;16", (64, 64), 0x8000)
    drawn = opened(develop(encoded(image, "PNG")).thumbnails[0])
    assert abs(drawn.getpixel((32, 32))[0] - 0x80) < 4  # type: ignore[index]


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "RGB", "1"])
def test_every_mode_stands_upright(mode: str) -> None:
    """What is done to the colours does not lose how the camera was held."""
    exif = Image.Exif()
    exif[0x0112] = 6
    found = develop(encoded(Image.new(mode, (60, 20)), "TIFF", exif=exif))
    assert (found.facts["width"], found.facts["height"]) == (20, 60)
    assert [(thumbnail.width, thumbnail.height) for thumbnail in found.thumbnails] == [(20, 60)] * 2


def test_a_transparent_colour_stays_transparent() -> None:
    """Of a palette, or one colour of a PNG that has no alpha channel."""
    image = Image.new("RGB", (32, 32), "red")
    drawn = opened(develop(encoded(image, "PNG", transparency=(255, 0, 0))).thumbnails[0])
    assert (drawn.mode, drawn.getpixel((16, 16))[3]) == ("RGBA", 0)  # type: ignore[index]
    palette = Image.new("P", (32, 32), 0)
    drawn = opened(develop(encoded(palette, "GIF", transparency=0)).thumbnails[0])
    assert drawn.getpixel((16, 16))[3] == 0  # type: ignore[index]


def test_an_animation_is_counted_and_its_first_frame_drawn() -> None:
    """The thumbnails stand still."""
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    found = develop(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert found.facts["frames"] == 3
    assert opened(found.thumbnails[0]).getpixel((16, 16))[0] > 200  # type: ignore[index]


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size, with next to nothing in it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(10_000, 4_001), (12_000, 12_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    """Below, above and far above Pillow's own limits, nothing is decoded."""
    with pytest.raises(photo.NotAnImage, match="pixels"):
        develop(png_of(*size))


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "TGA", "PPM"])
def test_other_formats_are_not_opened(kind: str) -> None:
    """What few people send is left out: each decoder is one more way in."""
    with pytest.raises(photo.NotAnImage, match="not a readable image"):
        develop(encoded(Image.new("RGB", (16, 16)), kind))


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"RIFF", b"BM", b"\x89PNG\r\n\x1a\n"]),
)
def test_no_bytes_break_it(data: bytes, magic: bytes) -> None:
    """An image, or NotAnImage with a reason."""
    try:
        assert develop(magic + data).thumbnails
    except photo.NotAnImage as error:
        assert str(error)


@given(st.integers(0, 28_000), st.binary(min_size=1, max_size=4))
def test_damage_anywhere_does_not_break_it(at: int, damage: bytes) -> None:
    """A real photo with some bytes overwritten."""
    data = bytearray((PHOTOS / "rocket.webp").read_bytes())
    data[at : at + len(damage)] = damage
    try:
        assert develop(bytes(data)).thumbnails
    except photo.NotAnImage as error:
        assert str(error)
