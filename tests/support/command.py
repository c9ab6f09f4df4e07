"""The command `tidemill`, run as a user runs it, for one platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.lib.settings import Settings

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("tidemill")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def text(self) -> str:
        """Everything it said, on lines as long as they come."""
        return f"{self.out}\n{self.err}"


def tidemill(settings: Settings, *arguments: str | Path, cwd: Path = ROOT, timeout_s: float = 150.0) -> Done:
    """Nothing of the machine's own logins or gateways is seen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENFAAS")}
    environ = kept | settings.as_env() | {"OPENFAAS_CONFIG": str(settings.data_dir / "no-logins"), "COLUMNS": "400"}
    command = [str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(
        command, env=environ, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
    )
    return Done(done.returncode, done.stdout, done.stderr)
