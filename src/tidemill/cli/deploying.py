"""From a stack to deployed functions.

    each function, a few at a time: build context (tar) → POST /build → image reference → PUT /system/functions

One function's failure is its own outcome; the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tidemill.cli import failures
from tidemill.cli.buildcontext import build_context
from tidemill.cli.failures import Failure
from tidemill.cli.pulling import pull_missing
from tidemill.cli.session import Project
from tidemill.cli.templates import find_template
from tidemill.contract.errors import DeployFailed, TidemillError
from tidemill.contract.stack import Overrides, StackFunction

if TYPE_CHECKING:
    from tidemill.cli.client import Gateway

AT_ONCE = 4
"""Deployments in flight: most of each is waiting for the platform."""
NO_TEMPLATE = "dockerfile"
"""`lang: dockerfile`: the handler's folder is the build context."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the deployment of one function ended."""

    name: str
    namespace: str
    seconds: float
    image: str | None = None
    failure: Failure | None = None

    def as_wire(self) -> dict[str, object]:
        wire: dict[str, object] = {
            "name": self.name,
            "namespace": self.namespace,
            "status": "failed" if self.failure else "deployed",
            "duration_s": round(self.seconds, 3),
        }
        if self.image:
            wire["image"] = self.image
        if self.failure:
            wire["error"] = self.failure.as_wire()
        return wire


class Report(Protocol):
    """Told of what happens, from several threads."""

    def note(self, text: str) -> None: ...

    def step(self, name: str, text: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


def deploy_all(
    gateway: Gateway, project: Project, report: Report, overrides: Overrides | None = None
) -> list[Outcome]:
    """Every function of the project's stack, in the stack's order. Raises Failure only where nothing can be
    deployed at all: the gateway is away, or refuses the login."""
    gateway.info()
    pull_missing(project, report.note)
    overrides = overrides or Overrides()

    def deploy(function: StackFunction) -> Outcome:
        outcome = deploy_one(gateway, project, function, report, overrides)
        report.ended(outcome)
        return outcome

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deploy") as pool:
        return list(pool.map(deploy, project.stack.functions.values()))


def deploy_one(
    gateway: Gateway, project: Project, function: StackFunction, report: Report, overrides: Overrides
) -> Outcome:
    """Never raises a Failure: it is in the outcome."""
    started = time.monotonic()
    namespace = function.deployment(function.build_image, overrides).namespace
    image = failure = None
    try:
        image = _image(gateway, project, function, lambda text: report.step(function.name, text))
        report.step(function.name, "starting")
        gateway.deploy(function.deployment(image, overrides))
    except Failure as error:
        failure = error
        if error.wire_code == DeployFailed.code and not error.hint:
            error.hint = f"its log has more: tidemill logs {function.name} --since 1m"
    except TidemillError as error:
        failure = failures.of_error(error)
    return Outcome(function.name, namespace, time.monotonic() - started, image, failure)


def _image(gateway: Gateway, project: Project, function: StackFunction, step: Callable[[str], None]) -> str:
    if not function.builds:
        return function.build_image
    assert function.lang is not None
    template = None if function.lang == NO_TEMPLATE else find_template(function.lang, project.folder)
    tar = build_context(function, template, project=project.folder, copy=project.stack.copy)
    step(f"building ({len(tar) / 1024:.0f} KiB)")
    for event in gateway.build(tar):
        for line in event.get("log") or ():
            if not line.startswith(" "):  # the installer's list of packages
                step(line.rstrip())
        if event.get("status") == "success":
            return str(event["image"])
        if event.get("status") in ("failed", "failure"):
            raise Failure(str(event.get("error") or "the build failed"), hint=event.get("hint"), code="build_failed")
    raise Failure("the builder ended without an image", code="build_failed")
