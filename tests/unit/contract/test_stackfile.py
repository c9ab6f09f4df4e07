"""The stack file on disk and the files it leads to."""

from pathlib import Path

import pytest

from tidemill.contract.errors import BadStack
from tidemill.contract.stackfile import find_stack_file, load_stack

STACK = """\
functions:
  hello:
    image: hello:1
    environment: {A: inline, B: inline, C: inline, D: inline}
    environment_file: [env/one.yml, env/two.yml]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "env").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "stack.yml").write_text(STACK)
    (tmp_path / "env/one.yml").write_text("environment: {B: one, C: one, D: one}\n")
    (tmp_path / "env/two.yml").write_text("environment:\n  C: two\n  D: two\n")
    (tmp_path / "config/dev.yml").write_text("environment: {D: dev, N: 5}\n")
    return tmp_path


def test_later_files_win(project: Path) -> None:
    """Inline, then environment files in their order, then the environment's own file."""
    plain = load_stack(project / "stack.yml", environ={})
    assert plain.functions["hello"].environment == {"A": "inline", "B": "one", "C": "two", "D": "two"}
    dev = load_stack(project / "stack.yml", environ={}, environment="dev")
    assert dev.functions["hello"].environment == {"A": "inline", "B": "one", "C": "two", "D": "dev", "N": "5"}


def test_an_unknown_environment_names_those_there_are(project: Path) -> None:
    """A typo in --environment must not deploy with the variables of none."""
    with pytest.raises(BadStack, match="no environment prod") as caught:
        load_stack(project / "stack.yml", environ={}, environment="prod")
    assert caught.value.hint == "there are: dev"


@pytest.mark.parametrize(
    ("content", "says"),
    [("other: {}\n", "unknown key other"), ("environment: [a]\n", "mapping"), (None, "cannot be read")],
)
def test_a_bad_environment_file_is_named(project: Path, content: str | None, says: str) -> None:
    """The message names that file, not the stack file."""
    file = project / "env/one.yml"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    with pytest.raises(BadStack, match=says) as caught:
        load_stack(project / "stack.yml", environ={})
    assert caught.value.file == str(file)


def test_which_file_is_meant(tmp_path: Path) -> None:
    """stack.yaml before stack.yml, as faas-cli looks for them."""
    assert find_stack_file(tmp_path) is None
    (tmp_path / "stack.yml").touch()
    assert find_stack_file(tmp_path) == tmp_path / "stack.yml"
    (tmp_path / "stack.yaml").touch()
    assert find_stack_file(tmp_path) == tmp_path / "stack.yaml"
