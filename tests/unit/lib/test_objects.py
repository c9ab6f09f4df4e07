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
    """A driver that fails as told."""

    def __init__(self, error: Exception, *, has_bucket: bool = True) -> None:
        self._error, self._has_bucket = error, has_bucket
        self.made = 0

    def bucket_exists(self, bucket: str) -> bool:
        return self._has_bucket

    def make_bucket(self, bucket: str) -> None:
        self.made += 1
        raise self._error

    def put_object(self, *_: Any, **__: Any) -> None:
        if self._has_bucket:
            raise self._error

    get_object = remove_object = put_object


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
        objects.put("k", b"x", content_type="text/plain")
    with pytest.raises(meant):
        objects.get("k", max_bytes=1)
    with pytest.raises(meant):
        objects.remove("k")


def test_a_bucket_that_another_replica_made_meanwhile_is_fine() -> None:
    """Two first uploads at once; and once it is there nobody asks again."""
    client = Client(s3_error("BucketAlreadyOwnedByYou"), has_bucket=False)
    objects = S3Objects(client, "b")  # type: ignore[arg-type]
    objects.put("k", b"x", content_type="text/plain")
    objects.put("k", b"x", content_type="text/plain")
    assert client.made == 1


def test_a_bucket_that_cannot_be_made_is_an_outage() -> None:
    """And is tried again next time."""
    client = Client(s3_error("AccessDenied"), has_bucket=False)
    objects = S3Objects(client, "b")  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(Unavailable):
            objects.put("k", b"x", content_type="text/plain")
    assert client.made == 2
