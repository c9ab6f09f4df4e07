"""Which template an uploaded build context was made from, and where the handler is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tidemill.contract.errors import BadRequest
from tidemill.contract.workload import KINDS
from tidemill.provider.archive import safe_path

DEFAULT_HANDLER_FOLDER = "function"
HANDLER_FILE = "handler.py"


@dataclass(frozen=True, slots=True)
class Handler:
    """What to run and how."""

    kind: str
    """One of KINDS."""
    folder: Path
    """Holds handler.py."""


def find_handler(context: Path) -> Handler:
    """Raises BadRequest: no template this backend runs, or no handler in it."""
    template = _template(context)
    folder = context / safe_path(str(template.get("handler_folder") or DEFAULT_HANDLER_FOLDER))
    kind = _kind(str(template.get("language") or ""), context)
    if not (folder / HANDLER_FILE).is_file():
        raise BadRequest(f"the build context has no {folder.name}/{HANDLER_FILE}")
    return Handler(kind, folder)


def _template(context: Path) -> dict[str, Any]:
    try:
        template = yaml.safe_load((context / "template.yml").read_bytes())
    except FileNotFoundError:
        raise BadRequest(
            "the build context has no template.yml",
            hint=f"the process backend runs the templates {' and '.join(KINDS)}; others need the Docker backend",
        ) from None
    except yaml.YAMLError as cause:
        raise BadRequest(f"template.yml is not YAML: {cause}") from cause
    if not isinstance(template, dict):
        raise BadRequest("template.yml is not a mapping")
    return template


def _kind(language: str, context: Path) -> str:
    for kind in KINDS:  # python3-http-debian and the like are the same handler on another base image
        if language == kind or language.startswith(kind + "-"):
            return kind
    if language in ("python", "python3") and (context / "index.py").is_file():
        # Older official templates only say `python`; their index.py shows how it calls the handler.
        index = (context / "index.py").read_text(errors="replace")
        return "python3-http" if "handle(event" in index.replace(" ", "") else "python3-flask"
    raise BadRequest(
        f"template language {language[:80]!r} cannot run on the process backend",
        hint=f"it runs {' and '.join(KINDS)}; other templates need the Docker backend",
    )
