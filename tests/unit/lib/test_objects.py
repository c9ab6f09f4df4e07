"""Object keys, and how the S3 driver's errors come out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minio.error import S3Error, ServerError
from urllib3.exceptions import HTTPError

from tidemill.contract.errors import BadRequest, NotFound, TidemillError, Unavailable
from tidemill.lib.objects import S3Objects, check_key

NAMES = st.from_regex(r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}\Z")


@given(st.lists(NAMES, min_size=1, max_size=8))
def test_plain_paths_are_keys(segments: list[str]) -> None:
    """As they are."""
    key = "/".join(segments)
    assert check_key(key) == key


@pytest.mark.parametrize(
    "bad",
    ["", "/", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "a/./b", "..", ".", "a\\b", "a\x00b", "a\nb", "a b",
     "a/%2e%2e/b", "a?x", "a#x", "é", "x" * 513, "x" * 201, {"$ne": None}, None, 7, ["a"], True],
)  # fmt: skip
def test_what_could_leave_the_bucket_or_upset_a_server_is_refused(bad: object) -> None:
    """With a short sentence, however long the key is."""
    with pytest.raises(BadRequest) as refused:
        check_key(bad)
    assert len(str(refused.value)) < 300


@given(st.text())
def test_no_text_passes_that_climbs(text: str) -> None:
    """Whatever is accepted stays below where it begins."""
    try:
        key = check_key(text)
    except BadRequest:
        return
    assert not {"", ".", ".."} & set(key.split("/"))
    assert key.isascii() and key.isprintable() and " " not in key


def s3_error(code: str) -> S3Error:
    return S3Error(code=code, message="", resource="", request_id="", host_id="", response=None)  # type: ignore[arg-type]


class Client:
    """A driver that fails as told, whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise self._error

    put_object = get_object = remove_object = make_bucket = bucket_exists = _fail


@pytest.mark.parametrize(
    ("raised", "meant"),
    [
        (s3_error("NoSuchKey"), NotFound),
        (s3_error("NoSuchBucket"), NotFound),
        (s3_error("AccessDenied"), Unavailable),
        (s3_error("SlowDown"), Unavailable),
        (ServerError("oops", 500), Unavailable),
        (HTTPError("timed out"), Unavailable),
        (ConnectionResetError(), Unavailable),
    ],
)
def test_errors_of_the_driver_become_ours(raised: Exception, meant: type[TidemillError]) -> None:
    """So that whoever called knows whether trying again makes sense."""
    objects = S3Objects(Client(raised), "b")  # type: ignore[arg-type]
    with pytest.raises(meant):
        objects.get("k", max_bytes=1)
    with pytest.raises(meant):
        objects.remove("k")


@pytest.mark.parametrize("code", ["AccessDenied", "InternalError", "XMinioStorageFull"])
def test_what_cannot_be_stored_is_an_outage(code: str) -> None:
    """A full disk included."""
    with pytest.raises(Unavailable):
        S3Objects(Client(s3_error(code)), "b").put("k", b"x", content_type="text/plain")  # type: ignore[arg-type]


class Bucketless(Client):
    """A server whose bucket somebody else makes at the same moment, or nobody can."""

    def __init__(self, error: Exception, *, appears: bool) -> None:
        super().__init__(error)
        self._appears = appears
        self._there = False
        self.stored: list[str] = []

    def put_object(self, bucket: str, key: str, *_: Any, **__: Any) -> None:
        if not self._there:
            raise s3_error("NoSuchBucket")
        self.stored.append(key)

    def make_bucket(self, bucket: str) -> None:
        self._there = self._appears
        raise self._error

    def bucket_exists(self, bucket: str) -> bool:
        return self._there


@pytest.mark.parametrize("code", ["BucketAlreadyOwnedByYou", "BucketAlreadyExists", "InternalError"])
def test_a_bucket_that_another_replica_made_meanwhile_is_fine(code: str) -> None:
    """Two first uploads at once: whatever the server says to the second, the bucket is there."""
    client = Bucketless(s3_error(code), appears=True)
    S3Objects(client, "b").put("k", b"x", content_type="text/plain")  # type: ignore[arg-type]
    assert client.stored == ["k"]


def test_a_bucket_that_does_not_stay_is_an_outage() -> None:
    """Not a missing object: a job must be tried again."""
    client = Bucketless(s3_error("BucketAlreadyOwnedByYou"), appears=False)
    client.bucket_exists = lambda bucket: True  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="made and removed"):
        S3Objects(client, "b").put("k", b"x", content_type="text/plain")  # type: ignore[arg-type]


def test_a_bucket_that_cannot_be_made_is_an_outage() -> None:
    """And is tried again next time."""
    client = Bucketless(s3_error("AccessDenied"), appears=False)
    objects = S3Objects(client, "b")  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(Unavailable):
            objects.put("k", b"x", content_type="text/plain")
    client._appears = True
    objects.put("k", b"x", content_type="text/plain")
    assert client.stored == ["k"]
