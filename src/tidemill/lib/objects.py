"""A function's objects in one S3 bucket. Errors of the driver end here: Unavailable, NotFound, TooLarge come out."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

from tidemill.contract.errors import BadRequest, TooLarge, Unavailable
from tidemill.lib.outages import s3_errors

if TYPE_CHECKING:
    from minio import Minio

LONGEST_KEY = 512
_SEGMENT = re.compile(r"[A-Za-z0-9!_.*'()=+,@-]{1,200}")


def check_key(key: object) -> str:
    """An object key that every S3 server takes and that cannot leave its bucket: segments of plain characters,
    none of them `.` or `..`. Raises BadRequest."""
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
        raise BadRequest(f"key must be a text of 1 to {LONGEST_KEY} characters")
    for segment in key.split("/"):
        if segment in (".", "..") or not _SEGMENT.fullmatch(segment):
            raise BadRequest(f"key {key[:80]!r} is not a path of plain names such as photos/cat.jpg")
    return key


class Objects(Protocol):
    """What functions need of an object store."""

    def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Stores or replaces; when it returns the object can be read by everybody. Raises Unavailable."""
        ...

    def get(self, key: str, *, max_bytes: int) -> bytes:
        """Raises NotFound, TooLarge, Unavailable, Unavailable."""
        ...

    def remove(self, key: str) -> None:
        """No error where there is none. Raises Unavailable."""
        ...


class S3Objects:
    """Objects in a bucket of an S3 server; the bucket is made by the first `put` that misses it."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, data: bytes, *, content_type: str) -> None:
        if self._put(key, data, content_type):
            return
        self._make_bucket()
        if not self._put(key, data, content_type):
            raise Unavailable(f"bucket {self._bucket} is made and removed at once")

    def get(self, key: str, *, max_bytes: int) -> bytes:
        with s3_errors(key):
            response = self._client.get_object(self._bucket, key)
            try:
                if int(response.headers.get("Content-Length", 0)) > max_bytes:
                    raise TooLarge(f"object {key} is larger than {max_bytes} bytes")
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

    def remove(self, key: str) -> None:
        with s3_errors(key):
            self._client.remove_object(self._bucket, key)

    def _put(self, key: str, data: bytes, content_type: str) -> bool:
        """False where the bucket is missing."""
        from minio import S3Error

        with s3_errors(key):
            try:
                self._client.put_object(self._bucket, key, BytesIO(data), len(data), content_type=content_type)
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise
                return False
        return True

    def _make_bucket(self) -> None:
        from minio import S3Error

        with s3_errors(self._bucket):
            try:
                self._client.make_bucket(self._bucket)
            except S3Error:
                # Of several that make it at once versitygw answers some with an internal error.
                if not self._client.bucket_exists(self._bucket):
                    raise
