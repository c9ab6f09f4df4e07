"""What the author of a function is told about its exceptions."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from tidemill.runtime.complaints import begin_with_own_code, in_one_line
from tidemill.runtime.handlers import HandlerUnusable


def raised_by(handler: Path, code: str) -> BaseException:
    """What running this file raises, as the runtime catches it."""
    handler.write_text(code)
    with pytest.raises(BaseException) as caught:
        exec(compile(code, str(handler), "exec"), {})
    return caught.value


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("\nimport no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (handler.py, line 2)"),
        ("import json\njson.loads('')", "(handler.py, line 2)"),
        ("def f():\n  raise ValueError('two\\nlines')\nf()", "ValueError: two lines (handler.py, line 2)"),
        ("def f(:", "(handler.py, line 1)"),
    ],
)
def test_one_line_says_what_and_where(tmp_path: Path, code: str, complaint: str) -> None:
    """The place is the last one in the function's own code, also where a library raised."""
    told = in_one_line(raised_by(tmp_path / "handler.py", code), str(tmp_path))
    assert told.endswith(complaint)
    assert told.count("handler.py") == 1


@pytest.mark.parametrize("code", ["import json\njson.loads('')", "def f(:"])
def test_a_traceback_begins_with_the_functions_own_code(tmp_path: Path, code: str) -> None:
    """How the platform called it is no help to its author."""
    error = raised_by(tmp_path / "handler.py", code)
    assert "test_complaints.py" in "".join(traceback.format_exception(error))
    begin_with_own_code(error, str(tmp_path))
    told = "".join(traceback.format_exception(error))
    assert "test_complaints.py" not in told
    assert str(tmp_path / "handler.py") in told


def test_an_error_of_the_platform_stays_whole(tmp_path: Path) -> None:
    """No line of the function's is in it, so nothing is cut."""
    with pytest.raises(OSError) as caught:
        (tmp_path / "absent").read_text()
    begin_with_own_code(caught.value, str(tmp_path))
    assert "test_complaints.py" in "".join(traceback.format_exception(caught.value))


def test_a_handler_that_cannot_be_used_is_told_in_a_sentence() -> None:
    """Without the name of a class that its author has never heard of."""
    assert in_one_line(HandlerUnusable("it has no function named handle"), "/x") == "it has no function named handle"
