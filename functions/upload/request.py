"""What a request to /upload may look like: JSON `{id, key}`, an image as the body, or a form with one file."""

import uuid
from dataclasses import dataclass
from io import BytesIO

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from tidemill.contract.errors import BadRequest, TooLarge, UnsupportedMediaType
from tidemill.lib.function import json_object
from tidemill.lib.items import check_id, upload_key
from tidemill.lib.objects import check_key

LARGEST_JSON = 16 * 1024
BINARY = "application/octet-stream"


@dataclass(frozen=True)
class Upload:
    id: str
    key: str
    data: bytes | None = None
    """The photo; None where it is stored under `key` already."""
    content_type: str = BINARY


def read_upload(event, *, max_bytes):
    """Raises BadRequest, TooLarge or UnsupportedMediaType with a sentence for the caller."""
    content_type, options = parse_options_header(event.headers.get("Content-Type"))
    if content_type == "application/json":
        return from_json(event)
    if content_type == "multipart/form-data":
        return from_form(event, options, max_bytes)
    if content_type.startswith("image/") or content_type == BINARY:
        return from_image(event.query.get("id"), event.body, content_type, max_bytes)
    raise UnsupportedMediaType(
        f"the content type {content_type[:80] or '(none)'} is not taken here",
        hint='send JSON, a form, or the image itself with -H "Content-Type: image/jpeg"',
    )


def from_json(event):
    if len(event.body) > LARGEST_JSON:
        raise TooLarge(f"a JSON body may have {LARGEST_JSON} bytes, and this one has {len(event.body)}")
    asked = json_object(event.body)
    return Upload(check_id(asked.get("id")), check_key(asked.get("key")))


def from_form(event, options, max_bytes):
    overhead = 64 * 1024  # boundaries, part headers and the text fields
    if len(event.body) > max_bytes + overhead:
        raise too_large(len(event.body), max_bytes)
    if "boundary" not in options:
        raise BadRequest("the form has no boundary in its content type")
    parser = FormDataParser(
        stream_factory=lambda *_, **__: BytesIO(),  # the body is in memory already
        max_form_memory_size=overhead,
        max_form_parts=10,
        silent=False,
    )
    try:
        _, fields, files = parser.parse(BytesIO(event.body), "multipart/form-data", len(event.body), options)
    except Exception as cause:
        raise BadRequest(f"the form cannot be read: {cause}") from cause
    photos = [photo for _, photo in files.items(multi=True)]
    if len(photos) != 1:
        raise BadRequest(f"the form must have one file, and this one has {len(photos)}")
    item_id = fields.get("id") or event.query.get("id")
    return from_image(item_id, photos[0].read(), photos[0].mimetype or BINARY, max_bytes)


def from_image(item_id, data, content_type, max_bytes):
    """Whether it really is an image is found out by the job; here only what would waste its time is refused."""
    if not data:
        raise BadRequest("the photo is empty")
    if len(data) > max_bytes:
        raise too_large(len(data), max_bytes)
    checked = check_id(item_id) if item_id is not None else uuid.uuid4().hex
    return Upload(checked, upload_key(checked, data), data, content_type)


def too_large(size_bytes, max_bytes):
    return TooLarge(f"a photo may have {max_bytes} bytes, and this one has {size_bytes}")
