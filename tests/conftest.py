"""What every test may use: settings of its own, and one embedded platform that the whole session shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import Platform
from tests.support.settings import settings_in
from tidemill.embedded.parts import PartMissing
from tidemill.embedded.parts.golang import InstallFailed
from tidemill.lib.settings import Settings


@pytest.fixture
def platform_settings(tmp_path: Path) -> Iterator[Settings]:
    """A data directory and ports that no other platform uses; nothing runs there yet."""
    settings = settings_in(tmp_path)
    yield settings
    shutil.rmtree(settings.run_dir, ignore_errors=True)  # it lies outside of tmp_path


@pytest.fixture(scope="session")
def stack() -> Iterator[Platform]:
    """The embedded platform, started once. A test that kills a part of it leaves it ready (`await_ready`) and
    removes the functions it deployed. A missing server skips on a laptop and fails in CI."""
    platform = Platform()
    try:
        platform.start()
    except (PartMissing, InstallFailed) as missing:
        platform.close()
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{missing} ({missing.hint})")
    except BaseException:
        platform.close()
        raise
    yield platform
    platform.close()
