"""The tar that the builder gets."""

import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tidemill.cli.buildcontext import build_context
from tidemill.cli.failures import BadUsage
from tidemill.cli.templates import find_template, template_names
from tidemill.contract.errors import BadStack
from tidemill.contract.stack import StackFunction


def function(**fields: Any) -> StackFunction:
    return StackFunction("hello", line=1, lang="python3-http", handler="./hello", **fields)


def build(project: Path, *, copy: tuple[str, ...] = (), **fields: Any) -> bytes:
    template = find_template("python3-http", project)
    return build_context(function(**fields), template, project=project, copy=copy)


@contextmanager
def opened(tar: bytes) -> Iterator[tarfile.TarFile]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        yield archive


def names(tar: bytes) -> list[str]:
    with opened(tar) as archive:
        return archive.getnames()


def content(tar: bytes, name: str) -> bytes:
    with opened(tar) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


def test_the_handler_lies_over_the_templates_starter(project: Path) -> None:
    """Files of the template stay where the handler has none of that name."""
    tar = build(project)
    assert b"return None" in content(tar, "context/function/handler.py")
    assert "context/function/requirements.txt" in names(tar)


def test_the_same_content_is_the_same_tar(project: Path) -> None:
    """Times and the order of creation do not matter, so an unchanged function keeps its digest."""
    first = build(project)
    (project / "hello/b.txt").write_text("b")
    (project / "hello/a.txt").write_text("a")
    second = build(project)
    for name in ("a.txt", "b.txt"):
        (project / "hello" / name).unlink()
    (project / "hello/a.txt").write_text("a")
    (project / "hello/b.txt").write_text("b")
    os.utime(project / "hello/handler.py", (time.time() + 100, time.time() + 100))
    assert build(project) == second != first
    with opened(second) as archive:
        assert {(member.mtime, member.uid, member.uname) for member in archive} == {(0, 0, "")}


def test_what_tools_leave_behind_is_not_sent(project: Path) -> None:
    """No virtual environment, no byte code, no version control, no build output; an executable bit is kept."""
    for folder in (".venv/bin", "__pycache__", ".git", "build", "template", "deep/__pycache__"):
        (project / "hello" / folder).mkdir(parents=True)
        (project / "hello" / folder / "file").touch()
    script = project / "hello/deep/run.sh"
    script.touch(mode=0o755)
    tar = build(project)
    assert [name for name in names(tar) if "deep" in name or "file" in name] == ["context/function/deep/run.sh"]
    with opened(tar) as archive:
        assert archive.getmember("context/function/deep/run.sh").mode == 0o755
        assert archive.getmember("context/function/handler.py").mode == 0o644


def test_copied_paths_keep_their_place(project: Path) -> None:
    """`configuration.copy` puts folders and files below the handler's folder, under the path they have in the
    project."""
    (project / "shared/inner").mkdir(parents=True)
    (project / "shared/inner/tool.py").touch()
    (project / "LICENCE").touch()
    found = names(build(project, copy=("./shared", "LICENCE")))
    assert {"context/function/shared/inner/tool.py", "context/function/LICENCE"} <= set(found)


@pytest.mark.parametrize("path", ["..", "../data", ".", "/etc", "nothing"])
def test_copied_paths_stay_in_the_project(project: Path, path: str) -> None:
    """A stack file must not carry the machine's files away; the project as a whole is refused too."""
    with pytest.raises(BadUsage, match=r"configuration\.copy"):
        build(project, copy=(path,))


def test_links(project: Path) -> None:
    """A link to a file travels as the file; a link to a folder is refused, since it would arrive empty."""
    (project / "hello/linked.py").symlink_to("handler.py")
    assert b"return None" in content(build(project), "context/function/linked.py")
    (project / "hello/folder").symlink_to(project / "world")
    with pytest.raises(BadUsage, match="link to a folder"):
        build(project)


def test_the_builders_configuration(project: Path) -> None:
    """Image, build arguments, packages of the build options, platforms."""
    fields: dict[str, Any] = {
        "build_args": {"A": "1", "ADDITIONAL_PACKAGE": "curl make"},
        "build_options": ("dev",),
        "image": "hello:2",
        "platforms": "linux/amd64, linux/arm64",
    }
    assert json.loads(content(build(project, **fields), "com.openfaas.docker.config")) == {
        "image": "hello:2",
        "buildArgs": {"A": "1", "ADDITIONAL_PACKAGE": "curl make gcc"},
        "platforms": ["linux/amd64", "linux/arm64"],
    }
    assert json.loads(content(build(project), "com.openfaas.docker.config")) == {"image": "hello:latest"}


def test_an_unknown_build_option_names_those_there_are(project: Path) -> None:
    """The template decides which there are."""
    with pytest.raises(BadUsage) as caught:
        build(project, build_options=("fast",))
    assert caught.value.hint == "it has: dev"


def test_build_secrets_are_refused(project: Path) -> None:
    """They would be left out in silence otherwise: the platform builds no image that could use them."""
    with pytest.raises(BadUsage, match="build_secrets"):
        build(project, build_secrets={"pip": "./pip.conf"})


def test_a_handler_that_is_not_there(project: Path) -> None:
    """The folder is named."""
    with pytest.raises(BadUsage, match="elsewhere does not exist"):
        build_context(
            StackFunction("a", line=1, lang="x", handler="elsewhere"),
            find_template("python3-http", project),
            project=project,
            copy=(),
        )


def test_a_dockerfile_function_is_its_own_context(project: Path) -> None:
    """`lang: dockerfile` has no template."""
    tar = build_context(function(), None, project=project, copy=())
    assert names(tar) == ["com.openfaas.docker.config", "context/handler.py"]


def test_templates_of_the_project_come_first(project: Path) -> None:
    """An own template of a built-in name replaces it; an unknown one is answered with those there are."""
    assert find_template("python3-http", project).folder == project / "template/python3-http"
    assert "python3-http" in template_names(project)
    with pytest.raises(BadUsage) as caught:
        find_template("cobol", project)
    assert "python3-http" in (caught.value.hint or "")


def test_another_handler_folder(project: Path) -> None:
    """`handler_folder` of template.yml; it may not lead out of the template."""
    template = project / "template/python3-http/template.yml"
    template.write_text("language: python3-http\nhandler_folder: app/src\n")
    assert "context/app/src/handler.py" in names(build(project))
    template.write_text("language: python3-http\nhandler_folder: ../../etc\n")
    with pytest.raises(BadStack, match=r"template.yml:2: handler_folder"):
        build(project)
