"""POST /upload."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.functions.conftest import PHOTOS, Call, caller
from tidemill.lib.correlation import Call as BoundCall
from tidemill.lib.correlation import bind
from tidemill.lib.settings import BadSetting
from tidemill.testing import FakeGateway, MemoryItems, MemoryObjects, event

PHOTO = (PHOTOS / "rocket.webp").read_bytes()


@pytest.fixture
def upload(load: Callable[[str], ModuleType]) -> Call:
    return caller(load("upload"))


def raw(data: bytes = PHOTO, content_type: str = "image/webp", **query: str) -> Any:
    return event("POST", "/upload", body=data, headers={"Content-Type": content_type}, query=query)


def form(*parts: tuple[str, bytes], boundary: str = "b0und", declared: str | None = None) -> Any:
    """A multipart request; each part is the rest of its disposition and its content."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {rest}\r\n\r\n".encode() + content + b"\r\n"
        for rest, content in parts
    )
    body += f"--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}" if declared is None else declared
    return event("POST", "/upload", body=body, headers={"Content-Type": kind})


FILE = ('name="photo"; filename="a.webp"\r\nContent-Type: image/webp', PHOTO)


def test_a_key_is_queued_as_in_the_article(upload: Call, items: MemoryItems, gateway: FakeGateway) -> None:
    """202 with id and status, where to look, and one job."""
    status, body, headers = upload(event("POST", "/upload", body={"id": "42", "key": "photos/42.jpg"}))
    assert (status, body) == (202, {"id": "42", "status": "queued"})
    assert headers["Location"] == "/items/42"
    [job] = gateway.calls
    assert (job.function, job.body) == ("process-job", {"id": "42", "key": "photos/42.jpg"})
    assert headers["X-Job-Call-Id"] == job.call_id
    assert items.stored["42"].status == "queued"


def test_a_raw_photo_is_stored_and_queued(
    upload: Call, items: MemoryItems, objects: MemoryObjects, gateway: FakeGateway
) -> None:
    """The object, the item and the job are about the same key."""
    status, body, _ = upload(raw(id="cat"))
    assert (status, body) == (202, {"id": "cat", "status": "queued"})
    key = items.stored["cat"].key
    assert objects.stored == {key: (PHOTO, "image/webp")}
    assert gateway.calls[0].body == {"id": "cat", "key": key}


def test_an_id_is_made_where_there_is_none(upload: Call, items: MemoryItems) -> None:
    """A new one each time."""
    ids = {upload(raw())[1]["id"] for _ in range(3)}
    assert len(ids) == 3 and ids == set(items.stored)


def test_a_form_with_one_file(upload: Call, objects: MemoryObjects, items: MemoryItems) -> None:
    """The id comes from a field of the form, as the file does."""
    status, body, _ = upload(form(('name="id"', b"cat"), FILE))
    assert (status, body["id"]) == (202, "cat")
    assert objects.stored[items.stored["cat"].key] == (PHOTO, "image/webp")


@pytest.mark.parametrize("request_", [raw(id="x"), event("POST", "/upload", body={"id": "x", "key": "k"})])
def test_the_same_twice_is_one_job(
    upload: Call, gateway: FakeGateway, items: MemoryItems, objects: MemoryObjects, request_: Any
) -> None:
    """With the same answer, also when the item has long been processed."""
    first = upload(request_)
    item = items.stored["x"]
    items.begin("x", item.key, owner="me", now=item.created_at)
    items.finish("x", owner="me", image={}, thumbnails=[], now=item.created_at)
    assert upload(request_) == first
    assert len(gateway.calls) == len(items.stored) == 1
    assert len(objects.stored) <= 1
    assert items.stored["x"].status == "processed"


def test_a_failed_item_is_tried_once_more(upload: Call, gateway: FakeGateway, items: MemoryItems) -> None:
    """A key that was queued before its object was there: each new upload after a failure is one new job."""
    request = event("POST", "/upload", body={"id": "x", "key": "photos/x"})
    upload(request)
    for failures in (1, 2):
        items.begin("x", "photos/x", owner="me", now=items.stored["x"].created_at)
        items.fail("x", owner="me", reason="there is no object", now=items.stored["x"].created_at)
        first, second = upload(request), upload(request)
        assert first == second
        assert len(gateway.calls) == 1 + failures


def test_another_photo_under_the_same_id_is_a_conflict(
    upload: Call, gateway: FakeGateway, items: MemoryItems, objects: MemoryObjects
) -> None:
    """409, and the first one stays as it was."""
    upload(raw(id="x"))
    before = dict(objects.stored), dict(items.stored)
    status, body, _ = upload(raw(PHOTO + b"other", id="x"))
    assert (status, body["code"]) == (409, "conflict")
    assert upload(event("POST", "/upload", body={"id": "x", "key": "k"}))[0] == 409
    assert (objects.stored, items.stored) == before
    assert len(gateway.calls) == 1


def test_of_two_photos_at_once_under_one_id_the_second_leaves_nothing(
    upload: Call, items: MemoryItems, objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw the id free; the item decides, and the loser's object is taken away again."""
    monkeypatch.setattr(items, "find", lambda item_id: None)
    upload(raw(id="x"))
    before = dict(objects.stored)
    assert upload(raw(PHOTO + b"other", id="x"))[0] == 409
    assert objects.stored == before


def test_a_bad_setting_stops_the_deployment(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read when the handler is imported, so that the deployment fails and names it."""
    monkeypatch.setenv("upload_max_bytes", "plenty")
    with pytest.raises(BadSetting, match="upload_max_bytes"):
        load("upload")


def test_the_job_belongs_to_the_user_action(upload: Call, gateway: FakeGateway) -> None:
    """The correlation id goes along."""
    with bind(BoundCall(call_id="c", correlation_id="action")):
        upload(raw())
    assert gateway.calls[0].headers["X-Correlation-Id"] == "action"


@pytest.mark.parametrize("part", ["objects", "items", "gateway"])
def test_with_any_part_down_nothing_is_accepted(
    upload: Call, items: MemoryItems, objects: MemoryObjects, gateway: FakeGateway, part: str
) -> None:
    """503 with call id and hint, never a false 202; the same again succeeds once it is back."""
    down = {"objects": objects, "items": items, "gateway": gateway}[part]
    down.down = True
    request = raw(id="x")
    request.headers.add("X-Call-Id", "c-1")
    status, body, headers = upload(request)
    assert (status, body["call_id"], headers["Retry-After"]) == (503, "c-1", "10")
    assert "with the id x" in body["hint"]
    assert gateway.calls == []
    down.down = False
    assert upload(request)[0] == 202
    assert len(gateway.calls) == 1


BAD_IDS = ["", "../x", "a/b", "x" * 10_240, "$ne", "a b", ".."]


@pytest.mark.parametrize("bad", [*BAD_IDS, {"$ne": None}, None, 7, ["a"]])
def test_bad_ids_are_refused_in_json(upload: Call, items: MemoryItems, bad: object) -> None:
    """400; a query object is no id."""
    status, body, _ = upload(event("POST", "/upload", body={"id": bad, "key": "k"}))
    assert (status, body["code"]) == (400, "bad_request")
    assert "id must be" in body["error"] and len(body["error"]) < 300
    assert not items.stored


@pytest.mark.parametrize("bad", BAD_IDS)
def test_bad_ids_are_refused_in_the_address_and_in_forms(upload: Call, objects: MemoryObjects, bad: str) -> None:
    """400, before anything is stored; an id that was given empty is not replaced by one we make."""
    assert upload(raw(id=bad))[0] == 400
    if bad:
        assert upload(form(('name="id"', bad.encode()), FILE))[0] == 400
    assert not objects.stored


@pytest.mark.parametrize("bad", ["", "../x", "/etc/passwd", "a//b", "x" * 10_240, {"$ne": None}, None, 7])
def test_bad_keys_are_refused(upload: Call, bad: object) -> None:
    """400."""
    status, body, _ = upload(event("POST", "/upload", body={"id": "x", "key": bad}))
    assert (status, body["code"]) == (400, "bad_request")
    assert "key" in body["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"id": "x"}', b"\xff\xfe"])
def test_bad_json_is_refused(upload: Call, body: bytes) -> None:
    """400."""
    assert upload(event("POST", "/upload", body=body, headers={"Content-Type": "application/json"}))[0] == 400


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "video/mp4", "x" * 10_000, ";"]
)
def test_other_kinds_of_content_are_refused(upload: Call, content_type: str) -> None:
    """415, with what to send instead; curl's own default is the usual mistake."""
    status, body, _ = upload(raw(content_type=content_type))
    assert (status, body["code"]) == (415, "unsupported_media_type")
    assert "Content-Type: image/jpeg" in body["hint"]


def test_no_content_type_at_all(upload: Call) -> None:
    """415 too."""
    assert upload(event("POST", "/upload", body=PHOTO))[0] == 415


def test_what_is_too_large_is_refused(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, objects: MemoryObjects
) -> None:
    """413 with both sizes, in each form of upload."""
    monkeypatch.setenv("upload_max_bytes", "1Ki")
    upload = caller(load("upload"))
    assert upload(raw(b"x" * 1024))[0] == 202
    objects.stored.clear()
    status, body, _ = upload(raw(b"x" * 1025))
    assert (status, body["code"]) == (413, "too_large")
    assert "1024" in body["error"] and "1025" in body["error"]
    assert upload(form(('name="f"; filename="a"', b"x" * 1025)))[0] == 413
    assert upload(form(('name="f"; filename="a"', b"x" * 100_000)))[0] == 413
    assert upload(event("POST", "/upload", body={"id": "x", "key": "k", "more": "x" * 20_000}))[0] == 413
    assert not objects.stored


@pytest.mark.parametrize(
    "request_",
    [
        form(),
        form(('name="id"', b"x")),
        form(FILE, FILE),
        form(('name="photo"; filename=""', b"")),
        form(FILE, declared="multipart/form-data"),
        form(FILE, declared="multipart/form-data; boundary=other"),
        event("POST", "/upload", body=b"nothing", headers={"Content-Type": "multipart/form-data; boundary=x"}),
        form(*[('name="f"', b"x")] * 20),
        raw(b""),
    ],
)
def test_forms_without_exactly_one_photo_are_refused(upload: Call, objects: MemoryObjects, request_: Any) -> None:
    """400 with a sentence."""
    status, body, _ = upload(request_)
    assert (status, body["code"]) == (400, "bad_request")
    assert not objects.stored


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200),
    st.sampled_from(["application/json", "multipart/form-data; boundary=b", "image/png", "text/plain"]),
    st.text(max_size=80),
)
def test_no_request_breaks_it(upload: Call, body: bytes, content_type: str, item_id: str) -> None:
    """Whatever is sent: it is accepted or refused with a reason."""
    status, answer, _ = upload(raw(body, content_type, id=item_id))
    assert status in (202, 400, 409, 413, 415)
    assert "error" in answer or answer["status"] == "queued"
