"""Whether functions get users of their own here, for `doctor`, `up` and `status`."""

from __future__ import annotations

import os

from tidemill.lib.settings import Settings
from tidemill.provider.privileges import closed_to_functions

REMEDY = "start it from a folder that other users may enter, such as /srv/tidemill, or as a user that is not root"


def why_as_root(settings: Settings) -> str | None:
    """Why functions run as root; None where they do not."""
    closed = closed_to_functions(settings.data_dir) if os.geteuid() == 0 else None
    return f"functions run as root, since other users may not enter {closed}" if closed else None
