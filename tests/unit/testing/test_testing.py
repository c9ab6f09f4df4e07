"""What `tidemill.testing` gives to authors of functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.testing import event, load_handler


def test_an_event_is_what_the_template_hands_over() -> None:
    """Body as bytes, headers in any case, JSON where a value is given."""
    made = event("POST", "/x", body={"a": "é"}, headers={"X-Call-Id": "c"}, query={"q": "1"})
    assert (made.method, made.path, made.query) == ("POST", "/x", {"q": "1"})
    assert made.body == b'{"a": "\\u00e9"}'
    assert made.headers["content-type"] == "application/json"
    assert made.headers.get("x-call-id") == "c"
    assert event(body="é").body == "é".encode()
    assert event().headers.get("Content-Type") is None
    assert event(body=[1], headers={"Content-Type": "text/plain"}).headers["Content-Type"] == "text/plain"


def test_a_handler_is_loaded_with_its_neighbours(tmp_path: Path) -> None:
    """Fresh each time, so that tests share no state; several functions do not mix."""
    for name in ("my-first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.py").write_text(f"NAME = {name!r}\n")
        (tmp_path / name / "handler.py").write_text(
            "from .part import NAME\ncalls = []\ndef handle(event, context):\n    calls.append(1)\n    return NAME\n"
        )
    first, again, second = (load_handler(tmp_path / name) for name in ("my-first", "my-first", "second"))
    assert [module.handle(event(), None) for module in (first, again, second)] == ["my-first", "my-first", "second"]
    assert len(first.calls) == len(again.calls) == 1


def test_a_folder_without_a_handler_is_named(tmp_path: Path) -> None:
    """And an error in the handler is the handler's own."""
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load_handler(tmp_path)
    (tmp_path / "handler.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        load_handler(tmp_path)
