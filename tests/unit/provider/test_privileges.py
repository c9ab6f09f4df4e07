"""Users of functions."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from tidemill.contract.names import FunctionRef
from tidemill.lib.log import Logger
from tidemill.provider import privileges as module
from tidemill.provider.privileges import (
    FIRST_UID,
    UIDS,
    Privileges,
    allocate_uid,
    closed_to_functions,
    unreachable_part,
)

REFS = [FunctionRef(f"fn-{number}") for number in range(300)]


def test_uids_are_distinct_and_in_range() -> None:
    """Whatever the order in which functions come."""
    taken: set[int] = set()
    for ref in REFS:
        uid = allocate_uid(ref, taken)
        assert uid not in taken and FIRST_UID <= uid < FIRST_UID + UIDS
        taken.add(uid)


def test_a_uid_is_stable() -> None:
    """A function that is removed and deployed again gets the same one."""
    assert allocate_uid(REFS[0], ()) == allocate_uid(REFS[0], ())
    assert allocate_uid(REFS[0], {allocate_uid(REFS[0], ())}) != allocate_uid(REFS[0], ())


def test_a_full_range_is_an_error() -> None:
    """Never a shared user."""
    with pytest.raises(RuntimeError, match="taken"):
        allocate_uid(REFS[0], range(FIRST_UID, FIRST_UID + UIDS))


def test_a_closed_folder_on_the_way_is_named(tmp_path: Path) -> None:
    """The first one that other users may not enter."""
    for folder in reversed((tmp_path, *tmp_path.parents[:-1])):
        if not folder.stat().st_mode & 0o001:
            assert unreachable_part(tmp_path) == folder
            return
    assert unreachable_part(tmp_path) is None
    (tmp_path / "closed/open").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    assert unreachable_part(tmp_path / "closed/open") == tmp_path / "closed"


def test_without_root_everything_has_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No uid, and builds run as they are."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    privileges = Privileges.detect(tmp_path, log=Logger("x", stream=io.BytesIO()))
    assert privileges.function_uid(REFS[0], ()) is None
    assert privileges.installer_arguments(foreign_code=True) == {}
    assert privileges.may_run_foreign_code


def test_foreign_code_has_a_user_of_its_own() -> None:
    """It can write neither to the shared cache nor to a function's files."""
    privileges = Privileges(functions=True, installer=True)
    users = {privileges.installer_arguments(foreign_code=foreign)["user"] for foreign in (True, False)}
    assert len(users) == 2
    assert all(uid < FIRST_UID for uid in users)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_functions_source_is_its_own(tmp_path: Path) -> None:
    """Readable by its user and root, changeable by root only."""
    folder = tmp_path / "function"
    folder.mkdir()
    (folder / "handler.py").write_text("x")
    Privileges(functions=True, installer=True).readable_by(folder, FIRST_UID)
    found = (folder / "handler.py").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, FIRST_UID, 0o640)
    assert folder.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("data_open", "program_open", "mounts", "functions", "installer"),
    [
        (True, True, False, True, True),
        (True, False, True, True, False),
        (True, False, False, False, False),
        (False, True, True, False, False),
    ],
)
def test_users_of_their_own_need_folders_that_they_can_enter(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data_open: bool,
    program_open: bool,
    mounts: bool,
    functions: bool,
    installer: bool,
) -> None:
    """Where root may mount a replica sees its interpreter all the same; where not, that is said."""
    program = tmp_path / "program"
    closed = {tmp_path: not data_open, program: not program_open}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, "runtime_paths", lambda: {program})
    monkeypatch.setattr(module, "unreachable_part", lambda folder: folder if closed[folder] else None)
    monkeypatch.setattr(module, "may_mount", lambda: mounts)
    log = io.BytesIO()
    privileges = Privileges.detect(tmp_path, log=Logger("x", stream=log))
    assert (privileges.separate_functions, privileges.separate_installer) == (functions, installer)
    assert (b"run as root" in log.getvalue()) is not functions
    assert (closed_to_functions(tmp_path) is None) is functions
