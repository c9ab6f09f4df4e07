"""nats-server's configuration file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidemill.broker.permissions import Permissions

MAX_PAYLOAD_BYTES = 1024 * 1024
"""Headers and payload of one message; larger payloads go to the object store long before."""


@dataclass(frozen=True, slots=True)
class NatsUser:
    """One service at the broker."""

    name: str
    password: str
    permissions: Permissions


def render_nats(*, port: int, store_dir: Path, users: Sequence[NatsUser]) -> str:
    """Strings are written as JSON, which the server's own grammar includes."""
    return f"""\
# Written at every start of the platform.
server_name: tidemill
listen: {json.dumps(f"127.0.0.1:{port}")}
max_payload: {MAX_PAYLOAD_BYTES}
logtime: false
jetstream {{
  store_dir: {json.dumps(str(store_dir))}
  # An acknowledged message is on disk: the default syncs every two minutes and loses what came since.
  sync_interval: always
  # The disk is the limit. The default is a share of what is free at the start: nothing where it is full.
  max_file_store: 1PB
}}
authorization {{
  users: [
{"".join(_render_user(user) for user in users)}  ]
}}
"""


def _render_user(user: NatsUser) -> str:
    return f"""\
    {{
      user: {json.dumps(user.name)}
      password: {json.dumps(user.password)}
      permissions: {{
        publish: {{ allow: {json.dumps(user.permissions.publish)} }}
        subscribe: {{ allow: {json.dumps(user.permissions.subscribe)} }}
      }}
    }}
"""
