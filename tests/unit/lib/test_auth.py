"""The operator's login."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.lib.auth import Credentials

ADMIN = Credentials("admin", "s3cret")
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_credentials_are_two_files(tmp_path: Path) -> None:
    """Without the newline an editor leaves."""
    (tmp_path / "basic-auth-user").write_text("admin\n")
    (tmp_path / "basic-auth-password").write_text("s3cret\n")
    assert Credentials.load(tmp_path) == ADMIN


def test_missing_credentials_name_the_file(tmp_path: Path) -> None:
    """The platform was not started here yet."""
    with pytest.raises(FileNotFoundError, match="basic-auth-user"):
        Credentials.load(tmp_path)


def test_a_client_may_use_basic_or_bearer() -> None:
    """The scheme in any case."""
    assert ADMIN.header == basic("admin:s3cret")
    assert ADMIN.permits(ADMIN.header)
    assert ADMIN.permits(basic("admin:s3cret").replace("Basic", "bAsIc"))
    assert ADMIN.permits("Bearer s3cret")


@pytest.mark.parametrize(
    "header",
    [None, "", "Basic", "Basic ", "Bearer", "Bearer ", "Bearer wrong", "Digest s3cret", "s3cret", basic("admin:"),
     basic("admin:wrong"), basic("root:s3cret"), basic("admin"), basic(":"), "Basic !!!", "Basic \xe9",
     "Bearer \xe9", "Basic " + "A" * 5],
)  # fmt: skip
def test_anything_else_is_refused(header: str | None) -> None:
    """And never breaks the check."""
    assert not ADMIN.permits(header)


def test_an_empty_password_opens_nothing() -> None:
    """A truncated file must not let everybody in."""
    assert not Credentials("admin", "").permits("Bearer ")
    assert not Credentials("admin", "").permits(basic("admin:"))


@given(WORDS.filter(lambda word: ":" not in word), WORDS)
def test_any_login_is_permitted_to_itself(user: str, password: str) -> None:
    """Whatever characters it has."""
    assert Credentials(user, password).permits(Credentials(user, password).header)


@given(st.text())
def test_no_header_breaks_the_check(header: str) -> None:
    """Whatever arrives."""
    assert ADMIN.permits(header) in (True, False)
