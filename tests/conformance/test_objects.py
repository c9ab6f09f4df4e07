"""Every object store keeps the promises of `Objects`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tidemill.contract.errors import NotFound, TooLarge
from tidemill.lib.objects import Objects, S3Objects
from tidemill.testing import MemoryObjects


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.stack)])
def objects(request: pytest.FixtureRequest) -> Objects:
    """An empty store of each kind; the bucket is not there yet."""
    if request.param == "memory":
        return MemoryObjects()
    return S3Objects(request.getfixturevalue("s3"), f"test-{uuid4().hex}")


def test_what_is_stored_comes_back(objects: Objects) -> None:
    """Byte for byte; the same key again replaces."""
    objects.put("photos/a-b.jpg", b"one", content_type="image/jpeg")
    objects.put("photos/a-b.jpg", b"\x00two", content_type="image/jpeg")
    assert objects.get("photos/a-b.jpg", max_bytes=4) == b"\x00two"


def test_what_is_not_there_is_not_found(objects: Objects) -> None:
    """Whether the bucket is missing or only the object."""
    with pytest.raises(NotFound):
        objects.get("nothing", max_bytes=1)
    objects.put("something", b"x", content_type="text/plain")
    with pytest.raises(NotFound):
        objects.get("nothing", max_bytes=1)


def test_what_is_too_large_is_not_read(objects: Objects) -> None:
    """A function's memory is bounded, an object's size is not."""
    objects.put("large", b"12345", content_type="text/plain")
    with pytest.raises(TooLarge):
        objects.get("large", max_bytes=4)


def test_removing_is_final_and_may_be_repeated(objects: Objects) -> None:
    """No error where there is nothing."""
    objects.put("gone", b"x", content_type="text/plain")
    objects.remove("gone")
    objects.remove("gone")
    with pytest.raises(NotFound):
        objects.get("gone", max_bytes=1)


def test_first_uploads_at_once_all_succeed(objects: Objects) -> None:
    """Whoever of them makes the bucket."""
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: objects.put(f"k{n}", b"x", content_type="text/plain"), range(6)))
    assert all(objects.get(f"k{n}", max_bytes=1) == b"x" for n in range(6))
