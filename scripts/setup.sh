#!/usr/bin/env bash
# Install the locked dependencies into .venv. Idempotent; `make setup` skips it while nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Tidemill needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V). Set PYTHON=/path/to/python3.11." >&2; exit 1; }
if [ ! -x .venv/bin/pip ]; then
  echo "[1/3] creating .venv"
  "$PYTHON" -m venv .venv || { echo "The venv module is missing: apt-get install python3-venv" >&2; exit 1; }
fi
echo "[2/3] installing locked dependencies"
uv_pin=$(sed -n '/^uv==/,/^[^ ]*==/p' requirements/dev.lock | sed '$d')
[ -x .venv/bin/uv ] || .venv/bin/pip install -q --require-hashes -r <(echo "$uv_pin")
.venv/bin/uv pip install -q --python .venv/bin/python --require-hashes -r requirements/dev.lock
echo "[3/3] installing tidemill"
.venv/bin/uv pip install -q --python .venv/bin/python --no-deps --editable .
touch .venv/.ready
