"""The embedded mongod's folder."""

from __future__ import annotations

import pytest

from tidemill.embedded.mongo_dir import first_start_done, mongo_dir, prepare_mongo_dir
from tidemill.lib.settings import Settings


@pytest.fixture
def settings(platform_settings: Settings) -> Settings:
    platform_settings.data_dir.mkdir()
    return platform_settings


def test_an_interrupted_first_start_begins_anew(settings: Settings) -> None:
    """What a mongod left that was killed before anyone could log in is emptied: it would never start again."""
    prepare_mongo_dir(settings)
    (mongo_dir(settings) / "WiredTiger").write_text("half made")
    prepare_mongo_dir(settings)
    assert not (mongo_dir(settings) / "WiredTiger").exists()


def test_what_a_finished_first_start_left_stays(settings: Settings) -> None:
    """From then on there may be data."""
    prepare_mongo_dir(settings)
    first_start_done(settings)
    first_start_done(settings)
    (mongo_dir(settings) / "WiredTiger").write_text("data")
    prepare_mongo_dir(settings)
    assert (mongo_dir(settings) / "WiredTiger").read_text() == "data"


def test_a_folder_from_elsewhere_is_never_touched(settings: Settings) -> None:
    """A restored backup carries no mark of ours."""
    mongo_dir(settings).mkdir()
    (mongo_dir(settings) / "WiredTiger").write_text("restored")
    for _ in range(2):
        prepare_mongo_dir(settings)
    assert (mongo_dir(settings) / "WiredTiger").read_text() == "restored"
