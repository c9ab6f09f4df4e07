"""The servers that the platform is made of, found on this machine or installed: a module each, `Part` the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

from tidemill.embedded.parts.haproxy import find_haproxy
from tidemill.embedded.parts.mongod import find_mongod, install_libcurl
from tidemill.embedded.parts.nats import find_nats
from tidemill.embedded.parts.objects import find_objects
from tidemill.embedded.parts.part import Part, PartMissing, Progress, unheard
from tidemill.embedded.parts.versitygw import install_versitygw
from tidemill.lib.settings import Settings

__all__ = ["Part", "PartMissing", "Parts", "Progress", "find_parts", "install_parts", "unheard"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Every server the platform needs."""

    nats: Part
    haproxy: Part
    mongo: Part
    objects: Part

    def __iter__(self) -> Iterator[Part]:
        return (getattr(self, each.name) for each in fields(self))


def find_parts(settings: Settings, environ: Mapping[str, str]) -> Parts:
    """What is on this machine now; installs nothing. Under 50 ms where nothing is missing."""
    searches: tuple[Callable[[], Part], ...] = (
        lambda: find_nats(environ),
        find_haproxy,
        lambda: find_mongod(settings, environ),
        lambda: find_objects(settings, environ),
    )
    with ThreadPoolExecutor(len(searches)) as pool:  # each runs a server's `--version`
        nats, haproxy, mongo, objects = pool.map(lambda search: search(), searches)
    return Parts(nats=nats, haproxy=haproxy, mongo=mongo, objects=objects)


def install_parts(settings: Settings, environ: Mapping[str, str], progress: Progress) -> Parts:
    """All parts, those that can be had installed where missing. Raises PartMissing with the way to get the rest."""
    parts = find_parts(settings, environ)
    if not parts.objects.ok and parts.objects.installable:
        install_versitygw(environ, progress)
    if not parts.mongo.ok and parts.mongo.installable:
        install_libcurl(progress)
    if not all(part.ok for part in parts):
        parts = find_parts(settings, environ)
    for part in parts:
        if not part.ok:
            raise PartMissing(part)
    return parts
