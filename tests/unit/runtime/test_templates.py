"""The templates in this repository run as they are handed out."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import yaml

from tests.unit.runtime.conftest import Serve
from tidemill.contract.workload import KINDS
from tidemill.runtime.handlers import flask_view, http_view

TEMPLATES = Path(__file__).parents[3] / "template"


@pytest.mark.parametrize("kind", KINDS)
def test_template_is_complete(kind: str) -> None:
    """Named as the folder, with a handler and a file for its requirements."""
    description = yaml.safe_load((TEMPLATES / kind / "template.yml").read_text())
    assert description["language"] == kind and description["welcome_message"]
    assert (TEMPLATES / kind / "function" / "requirements.txt").exists()


@pytest.mark.parametrize(
    ("kind", "body"),
    [("python3-http", b'{"message": "Hello from Tidemill!"}'), ("python3-flask", b"said")],
)
def test_starter_answers(serve: Serve, kind: str, body: bytes) -> None:
    """A new function works before anything was changed in it."""
    handle = runpy.run_path(str(TEMPLATES / kind / "function" / "handler.py"))["handle"]
    answer = serve(handle, make_view=http_view if kind == "python3-http" else flask_view).http.post("/", data=b"said")
    assert (answer.status_code, answer.data) == (200, body)
