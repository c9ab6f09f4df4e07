"""Where the errors of a function's drivers end: what they raise inside becomes an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.contract.errors import NotFound, Unavailable

RETRY_AFTER_S = 10.0
"""A server that is away is not back in a second; a queued job must not use up its attempts by then."""


@contextmanager
def mongo_errors() -> Iterator[None]:
    """Whatever pymongo raises becomes Unavailable."""
    from pymongo.errors import PyMongoError

    try:
        yield
    except PyMongoError as error:
        raise Unavailable("the database is not reachable at the moment", retry_after_s=RETRY_AFTER_S) from error


@contextmanager
def s3_errors(key: str) -> Iterator[None]:
    """What minio raises about the object `key` becomes NotFound or Unavailable."""
    from minio.error import MinioException, S3Error
    from urllib3.exceptions import HTTPError

    try:
        yield
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchBucket"):
            raise NotFound(f"there is no object {key}") from error
        sentence = "the object store does not do its work at the moment"
        raise Unavailable(sentence, retry_after_s=RETRY_AFTER_S) from error
    except (MinioException, HTTPError, OSError) as error:
        raise Unavailable("the object store is not reachable at the moment", retry_after_s=RETRY_AFTER_S) from error
