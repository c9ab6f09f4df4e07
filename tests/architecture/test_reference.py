"""The reference says what the code does: no key, variable or error code without a line."""

import re
from pathlib import Path

import pytest

from tidemill.broker import base
from tidemill.contract import errors, names, tuning, workload
from tidemill.embedded import launch
from tidemill.lib import idempotency
from tidemill.lib.settings import Settings
from tidemill.runtime import answers

HAVE_ERRORS = (errors, base, idempotency, launch, answers)
"""Imported so that every error of theirs is in the tree below, whichever tests run."""

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def _page(name: str) -> str:
    return (REFERENCE / name).read_text()


def _tree(error: type[errors.TidemillError]) -> list[type[errors.TidemillError]]:
    return [error, *(lower for child in error.__subclasses__() for lower in _tree(child))]


@pytest.mark.parametrize(
    "key",
    [
        value
        for value in vars(tuning).values()
        if isinstance(value, str) and value.startswith(("com.tidemill", "com.openfaas"))
    ],
)
def test_every_label_and_annotation_is_documented(key: str) -> None:
    """What a deployment can ask for stands in functions.md."""
    assert f"`{key}`" in _page("functions.md")


def test_defaults_are_those_of_the_code() -> None:
    """The table's last column is what an empty deployment gets."""
    rows = dict(re.findall(r"^\| \w+ \| `([\w.-]+)` \|.*\| ([^|]+) \|$", _page("functions.md"), re.M))
    default = tuning.Tuning()
    assert rows["exec_timeout"] == f"{default.exec_timeout_s:g}s"
    assert rows[tuning.SCALE_MIN] == str(default.scale_min)
    assert rows[tuning.SCALE_MAX] == str(default.scale_max)
    assert rows[tuning.PREFETCH].startswith(str(default.prefetch))
    assert rows[tuning.QUEUE_INFLIGHT] == str(default.queue_inflight)
    assert rows[tuning.RETRY_ATTEMPTS] == str(default.retry.attempts)
    assert rows[tuning.RETRY_CODES] == ",".join(map(str, sorted(default.retry.codes)))
    assert rows[tuning.RETRY_MIN_WAIT] == f"{default.retry.min_wait_s:g}s"
    assert rows[tuning.RETRY_MAX_WAIT] == f"{default.retry.max_wait_s:g}s"


def test_every_variable_of_the_platform_is_documented(tmp_path: Path) -> None:
    """What from_env reads stands in settings.md, with its default."""
    settings = Settings(data_dir=tmp_path, mongodb_uri="mongodb://x", s3_endpoint="http://x")
    for name, value in settings.as_env().items():
        row = re.search(rf"^\| `{name}` \|.*\| ([^|]+) \|$", _page("settings.md"), re.M)
        assert row, name
        if name.endswith("_PORT"):
            assert row[1] == value


@pytest.mark.parametrize(
    "name", [value for key, value in vars(workload).items() if key.startswith(("ENV_", "SECRET_"))]
)
def test_what_a_function_finds_is_documented(name: str) -> None:
    """Variables and secrets that every function may count on."""
    assert f"`{name}`" in _page("functions.md")


def test_reserved_paths_are_documented() -> None:
    """A route that is refused can be looked up."""
    for path in names.RESERVED_PATHS:
        assert f"`{path}`" in _page("functions.md")


@pytest.mark.parametrize("error", _tree(errors.TidemillError), ids=lambda error: error.code)
def test_every_error_code_is_documented(error: type[errors.TidemillError]) -> None:
    """Code and status of each error stand in errors.md."""
    assert f"| `{error.code}` | {error.status} |" in _page("errors.md")


@pytest.mark.parametrize(
    "page", [*sorted(REFERENCE.parent.rglob("*.md")), REFERENCE.parents[1] / "README.md"], ids=str
)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of the documentation names a file that exists."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
