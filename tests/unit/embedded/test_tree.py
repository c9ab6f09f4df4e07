"""The list of services."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.embedded.credentials import ensure_credentials
from tidemill.embedded.parts import Part, Parts
from tidemill.embedded.parts.objects import objects_dir
from tidemill.embedded.service import Service
from tidemill.embedded.tree import services
from tidemill.lib.settings import Settings


def part(name: str, engine: str) -> Part:
    return Part(name=name, engine=engine, needs="", durability="", path=Path("/opt") / engine, version="1")


PARTS = Parts(
    nats=part("nats", "nats-server"),
    haproxy=part("haproxy", "haproxy"),
    mongo=part("mongo", "mongod"),
    objects=part("objects", "versitygw"),
)


@pytest.fixture
def prepared(platform_settings: Settings) -> Settings:
    ensure_credentials(platform_settings, {})
    objects_dir(platform_settings, "versitygw").mkdir(parents=True)
    return platform_settings


def by_name(settings: Settings, parts: Parts = PARTS) -> dict[str, Service]:
    return {service.name: service for service in services(settings, parts)}


def test_what_takes_work_is_stopped_before_what_it_needs(prepared: Settings) -> None:
    """The worker ends while edge, functions and broker still live; the servers that keep data go last."""
    stage = {name: service.stop_stage for name, service in by_name(prepared).items()}
    assert stage["worker"] < stage["haproxy"] < stage["door"] == stage["control"] < stage["spawner"]
    assert stage["spawner"] < stage["nats"] == stage["mongo"] == stage["objects"]


def test_servers_of_the_users_own_are_not_started(prepared: Settings) -> None:
    """MONGODB_URI and S3_ENDPOINT leave two services out."""
    own = Parts(
        nats=PARTS.nats, haproxy=PARTS.haproxy, mongo=part("mongo", "external"), objects=part("objects", "external")
    )
    assert set(by_name(prepared)) - set(by_name(prepared, own)) == {"mongo", "objects"}


def test_mongod_is_closed_to_others(prepared: Settings) -> None:
    """Login on, loopback only, no compressors, no socket file."""
    argv = " ".join(by_name(prepared)["mongo"].argv)
    for flag in ("--auth", "--bind_ip 127.0.0.1", "--networkMessageCompressors disabled", "--nounixsocket"):
        assert flag in argv


def test_mongods_users_are_made_at_the_first_start_only(prepared: Settings) -> None:
    """Once the mark is there, no start pays for asking again."""
    assert by_name(prepared)["mongo"].after_start is not None
    mark = prepared.data_dir / "mongo" / ".users-made"
    mark.parent.mkdir()
    mark.touch()
    assert by_name(prepared)["mongo"].after_start is None


def test_keys_are_not_on_a_command_line(prepared: Settings) -> None:
    """Every user of the machine can read command lines: secrets travel by file or environment."""
    secrets = {path.read_text() for path in prepared.secrets_dir.iterdir() if path.name != "basic-auth-user"}
    for service in services(prepared, PARTS):
        assert not [secret for secret in secrets if secret in " ".join(service.argv)]


def test_versitygw_keeps_attributes_beside_objects_where_the_disk_has_none(
    prepared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without extended attributes gets the sidecar folder."""

    def refuse(*args: object) -> None:
        raise OSError("Operation not supported")

    assert "--sidecar" not in by_name(prepared)["objects"].argv
    monkeypatch.setattr(os, "setxattr", refuse)
    assert "--sidecar" in by_name(prepared)["objects"].argv


def test_minio_is_started_in_a_folder_of_its_own(prepared: Settings) -> None:
    """Neither S3 server reads the other's files."""
    minio = by_name(prepared, replace(PARTS, objects=part("objects", "minio")))["objects"]
    assert str(objects_dir(prepared, "minio")) in minio.argv
    assert minio.environ["MINIO_ROOT_PASSWORD"] == (prepared.secrets_dir / "s3-secret-key").read_text()
