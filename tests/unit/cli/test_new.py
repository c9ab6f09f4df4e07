"""new: a function from a template, and its entry in the stack file."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tidemill
from tidemill.cli.failures import BadUsage, Exists
from tidemill.cli.stackedit import add_function
from tidemill.contract.stack import parse_stack


def test_new_makes_a_function_that_can_be_deployed(tidemill: Tidemill, project: Path) -> None:
    """The starter is copied and the stack file has one more entry, the rest of it untouched."""
    before = (project / "stack.yml").read_text()
    assert tidemill("new", "fresh", "--lang", "python3-http").code == 0
    assert "starter" in (project / "fresh/handler.py").read_text()
    after = (project / "stack.yml").read_text()
    assert after.startswith(before)
    fresh = parse_stack(after, file="stack.yml").functions["fresh"]
    assert (fresh.lang, fresh.handler, fresh.image) == ("python3-http", "./fresh", "fresh:latest")


def test_new_in_an_empty_project(tidemill: Tidemill, project: Path) -> None:
    """A stack file is made; a folder `functions/` is used where there is one."""
    (project / "stack.yml").unlink()
    (project / "functions").mkdir()
    assert tidemill("new", "fresh", "--json").json["handler"] == "functions/fresh"
    assert list(parse_stack((project / "stack.yml").read_text(), file="").functions) == ["fresh"]


def test_new_names_the_files_that_it_made(tidemill: Tidemill, project: Path) -> None:
    """A template's welcome speaks of the folder that its handler goes to; here it has another name."""
    with (project / "template/python3-http/template.yml").open("a") as file:
        file.write("welcome_message: |\n  Your handler is function/handler.py.\n")
    assert "Your handler is fresh/handler.py." in tidemill("new", "fresh").err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["hello"], 6),
        (["Not_A_Label"], 2),
        (["fresh", "--lang", "cobol"], 2),
        ([], 2),
    ],
)
def test_what_new_refuses(tidemill: Tidemill, project: Path, arguments: list[str], code: int) -> None:
    """A folder that exists is never written to; nothing is half made."""
    before = (project / "stack.yml").read_text()
    assert tidemill("new", *arguments).code == code
    assert (project / "stack.yml").read_text() == before
    assert not (project / "fresh").exists()


def test_the_templates_are_listed(tidemill: Tidemill) -> None:
    """For a person and for a script."""
    assert "python3-http" in tidemill("new", "--list").out.splitlines()
    assert "python3-http" in tidemill("new", "--list", "--json").json


COMMENTED = """\
# head
functions:
    # about one
    one:
        image: one:1  # why

# about copying
configuration:
  copy: [./a]
"""


def test_comments_and_spacing_stay() -> None:
    """The entry comes last among the functions, indented as they are."""
    assert add_function(COMMENTED, "two", lang="x", handler="two", file="f") == COMMENTED.replace(
        "  # why\n",
        "  # why\n    two:\n        lang: x\n        handler: ./two\n        image: two:latest\n",
    )


@pytest.mark.parametrize("text", ["", "functions:\n", "version: 1.0\n", "version: 1.0\nfunctions:\n\n# end\n"])
def test_a_stack_without_functions_gets_its_first(text: str) -> None:
    """Whether the key is there or not."""
    assert list(parse_stack(add_function(text, "a", lang="x", handler="a", file="f"), file="f").functions) == ["a"]


def test_what_cannot_be_added_to() -> None:
    """A name that is there, and a file in flow style: told, with the entry to add by hand."""
    with pytest.raises(Exists):
        add_function(COMMENTED, "one", lang="x", handler="one", file="f")
    with pytest.raises(BadUsage) as caught:
        add_function("functions: {one: {image: a}}\n", "two", lang="x", handler="two", file="f")
    assert "two:" in (caught.value.hint or "")


def test_an_entry_is_set_off_as_the_others_are() -> None:
    """By a blank line where they have one between them."""
    head = "functions:\n  one:\n    image: one:1\n\n  two:\n    image: two:1\n"
    assert "image: two:1\n\n  three:\n" in add_function(head, "three", lang="l", handler="three", file="f")
