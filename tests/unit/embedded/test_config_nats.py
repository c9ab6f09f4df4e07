"""nats-server's configuration."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tidemill.broker.permissions import USERS, Permissions, permissions
from tidemill.embedded.config_nats import NatsUser, render_nats
from tidemill.embedded.parts.nats import find_nats


def test_it_says_what_durability_and_safety_depend_on(tmp_path: Path) -> None:
    """Every acknowledged message is synced, only this machine is listened to, and each user has its own lists."""
    text = render_nats(
        port=14222,
        store_dir=tmp_path,
        users=[NatsUser("door", 'a"b\\c', Permissions(publish=("tm.queue.>",), subscribe=("_INBOX.door.>",)))],
    )
    assert "sync_interval: always" in text
    assert "max_file_store: 1PB" in text
    assert 'listen: "127.0.0.1:14222"' in text
    assert 'publish: { allow: ["tm.queue.>"] }' in text
    assert 'subscribe: { allow: ["_INBOX.door.>"] }' in text
    assert r'password: "a\"b\\c"' in text


def test_the_server_accepts_it(tmp_path: Path) -> None:
    """nats-server itself checks the file that the platform's real users are written into."""
    config = tmp_path / "nats.conf"
    users = [NatsUser(user, "secret", permissions(user)) for user in USERS]
    config.write_text(render_nats(port=14222, store_dir=tmp_path / 'with "quotes"', users=users))
    done = subprocess.run([find_nats({}).program, "-t", "-c", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
