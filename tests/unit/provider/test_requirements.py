"""What may stand in a handler's requirements.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.contract.errors import BadRequest
from tidemill.provider.requirements import distributions
from tidemill.provider.toplevel import top_level_modules


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("# nothing\n\n", ()),
        ("pymongo", ("pymongo",)),
        ("Flask_Cors==4.0 # why\nminio>=7,<8\n", ("flask-cors", "minio")),
        ("pymongo[srv]~=4.0; python_version > '3.8'", ("pymongo",)),
        ("a==1 \\\n  --hash=sha256:00 \\\n  --hash=sha256:11\nb", ("a", "b")),
        ("--extra-index-url https://example.com/simple\nx", ("x",)),
        ("pkg @ https://example.com/pkg-1-py3-none-any.whl", ("pkg",)),
        ("a\na", ("a",)),
    ],
)
def test_distributions(text: str, expected: tuple[str, ...]) -> None:
    """Names as the index spells them, each once."""
    assert distributions(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ok\n-r other.txt", "requirements.txt:2: '-r'"),
        ("-e .", ":1: '-e'"),
        ("-c limits.txt", "'-c'"),
        ("--find-links /tmp", "'--find-links'"),
        ("./local", "not a package"),
        ("/etc/passwd", "not a package"),
        ("x @ file:///etc/passwd", "files of this machine"),
        ("https://example.com/x.whl", "not a package"),
    ],
)
def test_what_the_hash_would_not_cover_is_refused(text: str, says: str) -> None:
    """The line is named."""
    with pytest.raises(BadRequest, match=says):
        distributions(text)


def distribution(site: Path, name: str, *, files: tuple[str, ...], top_level: str | None = None) -> None:
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    if top_level is not None:
        (info / "top_level.txt").write_text(top_level)


def test_top_level_modules(tmp_path: Path) -> None:
    """Of the named distributions only: packages, single modules, extension modules; nothing private, no tests."""
    distribution(tmp_path, "Pillow", files=("PIL/Image.py", "PIL/_imaging.so", "../../bin/x", "tests/test_a.py"))
    distribution(tmp_path, "six", files=("six.py", "six-1.0.dist-info/METADATA"))
    distribution(tmp_path, "fast", files=("fast.cpython-311-x86_64-linux-gnu.so", "_fast.py"))
    distribution(tmp_path, "old", files=(), top_level="old_one\n_old\ntests\n")
    distribution(tmp_path, "other", files=("other.py",))
    found = top_level_modules(tmp_path, ("pillow", "six", "fast", "old"))
    assert found == ("PIL", "fast", "old_one", "six")
