"""From the bytes of a photo to its facts and thumbnails. Nothing of its EXIF data (place, camera, time) survives."""

import hashlib
import warnings
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
SIZES = {"large": 640, "small": 160}
"""Longest side in pixels, by name, the largest first; a smaller photo is not enlarged."""
EXIF_ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture of each orientation is turned upright."""
ON_ITS_SIDE = (5, 6, 7, 8)


class NotAnImage(Exception):
    """The photo cannot be used, however often it is tried."""


@dataclass(frozen=True)
class Thumbnail:
    name: str
    data: bytes
    width: int
    height: int
    extension: str
    content_type: str


@dataclass(frozen=True)
class Photo:
    facts: dict
    thumbnails: list


def develop(data, *, max_pixels):
    """Raises NotAnImage with a reason for the uploader."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata, and on sizes that our own limit is about
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                check_pixels(image, max_pixels)
                return Photo(read_facts(image, data), draw_thumbnails(image))
    except (NotAnImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise NotAnImage(f"the image has far more than the {max_pixels} pixels that are allowed") from error
    except Exception as error:  # decoders raise whatever broken data leads them to
        raise NotAnImage(f"the file is not a readable image: {error}") from error


def check_pixels(image, max_pixels):
    """A few bytes can claim to be a picture of gigabytes; only the header was read so far."""
    if image.width * image.height > max_pixels:
        raise NotAnImage(f"the image has {image.width} × {image.height} pixels, and {max_pixels} are allowed")


def read_facts(image, data):
    """Width and height are those of the picture as it is looked at, turned as its camera noted."""
    width, height = image.size
    if orientation(image) in ON_ITS_SIDE:
        width, height = height, width
    return {
        "format": image.format,
        "width": width,
        "height": height,
        "mode": image.mode,
        "frames": getattr(image, "n_frames", 1),
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def orientation(image):
    if image.format == "TIFF":  # Pillow turns these itself
        return 1
    return image.getexif().get(EXIF_ORIENTATION, 1)


def draw_thumbnails(image):
    """The first frame, made small before anything else is done to it: a large photo is in memory only once."""
    turn = UPRIGHT.get(orientation(image))
    largest = max(SIZES.values())
    image.draft("RGB", (largest, largest))  # a large JPEG is even decoded at a fraction of its size
    picture = scalable(image)
    picture.thumbnail((largest, largest))
    picture = without_metadata(picture if turn is None else picture.transpose(turn))
    thumbnails = []
    for name, side in SIZES.items():
        picture.thumbnail((side, side))
        thumbnails.append(encode(name, picture))
    return thumbnails


def scalable(image):
    """In a colour mode whose pixels can be mixed."""
    if image.mode.startswith("I;16"):
        return image.point(lambda level: level / 256).convert("L")  # converting alone cuts off at white
    if image.has_transparency_data and image.mode != "RGBA":
        return image.convert("RGBA")
    return image.convert("RGB") if image.mode in ("1", "P") else image


def without_metadata(image):
    """The pixels and nothing else: no EXIF, no comments, no colour profile."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    bare = Image.new(mode, image.size)
    bare.paste(image.convert(mode))
    return bare


def encode(name, image):
    out = BytesIO()
    if image.mode == "RGBA":
        image.save(out, "PNG", optimize=True)
        return Thumbnail(name, out.getvalue(), image.width, image.height, "png", "image/png")
    image.save(out, "JPEG", quality=85, optimize=True)
    return Thumbnail(name, out.getvalue(), image.width, image.height, "jpg", "image/jpeg")
