"""Where errors of the MongoDB driver end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.contract.errors import Unavailable


@contextmanager
def mongo_errors() -> Iterator[None]:
    """Turns what pymongo raises inside into Unavailable."""
    from pymongo.errors import PyMongoError

    try:
        yield
    except PyMongoError as error:
        raise Unavailable("the database is not reachable at the moment") from error
