"""Which folders keep a function's user from its interpreter."""

from __future__ import annotations

from pathlib import Path

from tidemill.runtime.mounts import closed_folders


def test_outermost_closed_folder_is_named_with_what_lies_below(tmp_path: Path) -> None:
    """Each path counts for the first closed folder on its way; an open way needs nothing."""
    tmp_path.chmod(0o755)
    closed, opened = tmp_path / "home", tmp_path / "usr"
    for path in (closed / ".pyenv/3.11", closed / "src", opened / "lib"):
        path.mkdir(parents=True)
    (closed / ".pyenv").chmod(0o700)
    closed.chmod(0o700)
    found = closed_folders([closed / ".pyenv/3.11", closed / "src", opened / "lib"])
    below = {folder: paths for folder, paths in found.items() if folder.is_relative_to(tmp_path)}
    above = [folder for folder in tmp_path.parents if not folder.stat().st_mode & 0o001]
    if not above:
        assert below == {closed: [closed / ".pyenv/3.11", closed / "src"]}
    else:  # pytest's own folder is closed: everything counts for that one
        assert set(found) == {above[-1]} and below == {}
