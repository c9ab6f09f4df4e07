"""The builder: from an uploaded context to a reference, and back to the source."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tests.unit.provider.conftest import CREDENTIALS
from tidemill.contract.errors import BadRequest, DeployFailed
from tidemill.lib.log import Logger
from tidemill.lib.web import exception_handlers
from tidemill.provider.api.build import BuildApi, BuildKeys
from tidemill.provider.builds import Builds
from tidemill.provider.environments import Environment, Progress, Wanted
from tidemill.provider.images import digest_of, reference, repository_name

HANDLER = b"def handle(event, context):\n    return {'body': 'x'}\n"
TEMPLATE = b"language: python3-http\n"
SECRET = b"payload secret"


class Environments:
    """Installs nothing; fails for requirements that say so."""

    def __init__(self) -> None:
        self.asked: list[Wanted] = []

    async def ensure(self, wanted: Wanted, progress: Progress = lambda line: None) -> Environment:
        self.asked.append(wanted)
        progress("Resolved 1 package")
        if "impossible" in wanted.requirements:
            raise DeployFailed("the requirements could not be installed:\nimpossible was not found")
        return Environment("e", Path("/python"), ())


def tar(files: dict[str, bytes], *, image: str | None = "team/hello:latest", **config: Any) -> bytes:
    buffer = io.BytesIO()
    if image is not None:
        files = {"com.openfaas.docker.config": json.dumps({"image": image, **config}).encode(), **files}
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), len(buffer.getvalue())
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def context(**files: bytes) -> dict[str, bytes]:
    found = {"context/template.yml": TEMPLATE, "context/function/handler.py": HANDLER}
    return found | {f"context/{name.replace('__', '/').replace('_dot_', '.')}": data for name, data in files.items()}


@pytest.fixture
def environments() -> Environments:
    return Environments()


@pytest.fixture
def builds(tmp_path: Path, environments: Environments) -> Builds:
    return Builds(tmp_path / "builds", environments)  # type: ignore[arg-type]


async def build(builds: Builds, tmp_path: Path, body: bytes) -> str:
    archive = tmp_path / "body.tar"
    archive.write_bytes(body)
    return await builds.build(archive)


async def test_a_reference_leads_back_to_the_source(
    builds: Builds, tmp_path: Path, environments: Environments
) -> None:
    """By digest, and by the tag it was built as: what faas-cli deploys."""
    image = await build(builds, tmp_path, tar(context(function__requirements_dot_txt=b"six\n")))
    assert image.startswith("tidemill.local/hello@sha256:")
    source = builds.resolve(image)
    assert (source.folder / "function/handler.py").read_bytes() == HANDLER
    assert (source.kind, environments.asked) == ("python3-http", [Wanted("six\n")])
    assert builds.resolve("team/hello:latest") == source


async def test_the_digest_covers_content_only(builds: Builds, tmp_path: Path) -> None:
    """Times and the image's name do not matter; a byte, a file or the template does."""
    same = [
        await build(builds, tmp_path, body)
        for body in (tar(context()), tar(context(), image="hello"), tar(dict(reversed(context().items()))))
    ]
    other = [
        await build(builds, tmp_path, tar(files))
        for files in (
            context(function__handler_dot_py=HANDLER + b"\n"),
            context(function__extra_dot_py=b""),
            context(template_dot_yml=b"language: python3-flask\n"),
        )
    ]
    assert len(set(same)) == 1
    assert len(set(same + other)) == 4


async def test_a_tag_moves_with_the_newest_build(builds: Builds, tmp_path: Path) -> None:
    """As in a registry."""
    await build(builds, tmp_path, tar(context()))
    newest = await build(builds, tmp_path, tar(context(function__more_dot_py=b"")))
    assert f"sha256:{builds.resolve('team/hello:latest').digest}" in newest


@pytest.mark.parametrize(
    ("language", "index", "kind"),
    [
        ("python3-http", None, "python3-http"),
        ("python3-http-debian", None, "python3-http"),
        ("python3-flask-armhf", None, "python3-flask"),
        ("python", b"class Event: ...\nhandler.handle(event, context)", "python3-http"),
        ("python3", b"handler.handle(request.get_data())", "python3-flask"),
    ],
)
async def test_templates(builds: Builds, tmp_path: Path, language: str, index: bytes | None, kind: str) -> None:
    """Variants of a template on other base images are the same handler."""
    files = context(template_dot_yml=f"language: {language}\n".encode())
    if index is not None:
        files["context/index.py"] = index
    assert builds.resolve(await build(builds, tmp_path, tar(files))).kind == kind


async def test_a_template_may_name_the_handlers_folder(builds: Builds, tmp_path: Path) -> None:
    """It is kept as `function` all the same."""
    files = {
        "context/template.yml": b"language: python3-http\nhandler_folder: src/app\n",
        "context/src/app/handler.py": HANDLER,
    }
    source = builds.resolve(await build(builds, tmp_path, tar(files)))
    assert (source.folder / "function/handler.py").is_file()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"nonsense", "not a tar archive"),
        (tar(context(), image=None), "no com.openfaas.docker.config"),
        (tar({**context(), "com.openfaas.docker.config": b"{"}, image=None), "is not JSON"),
        (tar({**context(), "com.openfaas.docker.config": b"{}"}, image=None), "names no image"),
        (tar(context(), image="???"), "not an image name"),
        (tar({**context(), "com.openfaas.secrets": b"x"}), "build secrets cannot be used"),
        (tar({"context/Dockerfile": b"FROM scratch"}), "no template.yml"),
        (tar(context(template_dot_yml=b"language: node20")), "node20"),
        (tar(context(template_dot_yml=b"[")), "not YAML"),
        (tar(context(template_dot_yml=b"handler_folder: ../../etc")), "leads outside"),
        (tar({"context/template.yml": TEMPLATE}), "no function/handler.py"),
        (tar(context(function__requirements_dot_txt=b"\xff")), "not UTF-8"),
    ],
)
async def test_bad_contexts(builds: Builds, tmp_path: Path, body: bytes, says: str) -> None:
    """Each says what is missing; nothing half-done stays."""
    with pytest.raises(BadRequest, match=says):
        await build(builds, tmp_path, body)
    assert not list((tmp_path / "builds").glob(".building-*"))


@pytest.mark.parametrize(
    "image", ["nginx", "ghcr.io/x/y:1", reference("hello", "0" * 64), "tidemill.local/x@sha256:short", "../../etc"]
)
def test_other_images_need_the_docker_backend(builds: Builds, image: str) -> None:
    """Or a build of their own; never a path."""
    with pytest.raises(BadRequest, match=r"not one that was built here|not kept here"):
        builds.resolve(image)


def test_references() -> None:
    """Ours has the digest; names lose registry, team, tag and digest."""
    digest = "ab" * 32
    assert digest_of(reference("hello", digest)) == digest
    assert digest_of("hello:latest") is None
    assert {repository_name(image) for image in ("hello", "a/hello:1", "r:5000/a/hello@sha256:x")} == {"hello"}


async def test_source_builds_are_opt_in(builds: Builds, tmp_path: Path, environments: Environments) -> None:
    """By build argument; it is part of the digest."""
    plain = await build(builds, tmp_path, tar(context()))
    opted = await build(builds, tmp_path, tar(context(), buildArgs={"TIDEMILL_FROM_SOURCE": "true"}))
    assert [wanted.from_source for wanted in environments.asked] == [False, True]
    assert plain != opted


@pytest.fixture
async def api(builds: Builds, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    log = Logger("control", stream=io.BytesIO())
    keys = BuildKeys(CREDENTIALS, SECRET)
    routes = BuildApi(builds=builds, keys=keys, work_dir=tmp_path / "builds", log=log).routes()
    handlers: Any = exception_handlers("control", log)
    app = Starlette(routes=routes, exception_handlers=handlers)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://control") as client:
        yield client


def signed(body: bytes, secret: bytes = SECRET) -> dict[str, str]:
    return {"X-Build-Signature": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()}


async def test_a_signed_build(api: httpx.AsyncClient, tmp_path: Path) -> None:
    """One JSON with the whole log; the upload itself is not kept."""
    body = tar(context())
    answer = await api.post("/build", content=body, headers=signed(body))
    result = answer.json()
    assert (answer.status_code, result["status"]) == (200, "success")
    assert result["image"].startswith("tidemill.local/hello@sha256:")
    assert "Resolved 1 package" in result["log"]
    assert not list((tmp_path / "builds").glob(".upload-*"))


async def test_progress_as_ndjson(api: httpx.AsyncClient) -> None:
    """Line by line, the last one with the image."""
    body = tar(context())
    headers = {"Authorization": CREDENTIALS.header, "Accept": "application/x-ndjson"}
    answer = await api.post("/build", content=body, headers=headers)
    events = [json.loads(raw) for raw in answer.text.splitlines()]
    assert {event["status"] for event in events[:-1]} == {"in_progress"}
    assert events[-1]["status"] == "success"
    assert all(isinstance(event["log"], list) for event in events)


async def test_a_build_that_fails_says_why(api: httpx.AsyncClient) -> None:
    """In the result: that is what faas-cli prints."""
    body = tar(context(function__requirements_dot_txt=b"impossible"))
    result = (await api.post("/build", content=body, headers=signed(body))).json()
    assert (result["status"], result["image"]) == ("failed", "")
    assert "impossible was not found" in result["error"]


@pytest.mark.parametrize(
    "headers", [{}, signed(b"other"), signed(tar(context()), b"other secret"), {"X-Build-Signature": "sha256="}]
)
async def test_who_may_not_build(api: httpx.AsyncClient, tmp_path: Path, headers: dict[str, str]) -> None:
    """401, and nothing is kept."""
    answer = await api.post("/build", content=tar(context()), headers=headers)
    assert answer.status_code == 401
    assert not list((tmp_path / "builds").glob("*"))


async def test_no_payload_secret_means_login_only(builds: Builds, tmp_path: Path) -> None:
    """An empty secret signs nothing."""
    keys = BuildKeys.load(CREDENTIALS, tmp_path)
    assert keys.payload_secret is None
    assert not keys.signed("sha256=", None)


async def test_there_is_no_public_key(api: httpx.AsyncClient) -> None:
    """404 with the reason and what to use instead."""
    answer = await api.get("/publickey")
    assert (answer.status_code, "secrets" in answer.json()["hint"]) == (404, True)


async def test_two_builds_of_one_source_at_once(builds: Builds, tmp_path: Path) -> None:
    """Both end with the same reference."""
    archives = [tmp_path / f"{number}.tar" for number in range(4)]
    for archive in archives:
        archive.write_bytes(tar(context()))
    assert len(set(await asyncio.gather(*(builds.build(archive) for archive in archives)))) == 1


def test_leftovers_of_a_killed_control_go(tmp_path: Path) -> None:
    """Half-made builds, and uploads of which nobody made anything."""
    (tmp_path / ".building-x/upload").mkdir(parents=True)
    (tmp_path / ".upload-y").write_bytes(b"tar")
    (tmp_path / "tags").mkdir()
    Builds(tmp_path, Environments()).sweep()  # type: ignore[arg-type]
    assert [left.name for left in tmp_path.iterdir()] == ["tags"]
