"""A handler whose imports cost what those of a real one cost."""

import minio
import nats
import pymongo


def handle(req):
    """Name what was imported."""
    return " ".join(module.__name__ for module in (minio, nats, pymongo)) + "\n"
