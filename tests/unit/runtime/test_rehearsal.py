"""The call that nobody made."""

from __future__ import annotations

import pytest

from tidemill.lib.correlation import current
from tidemill.runtime.rehearsal import rehearse


def test_rehearsal_leaves_no_trace(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """It runs through, and nothing of it is printed or stays bound."""
    rehearse()
    assert capsysbinary.readouterr().out == b""
    assert current().function == ""
