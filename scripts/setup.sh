#!/usr/bin/env bash
# Install the locked dependencies into .venv. Idempotent; `make setup` skips it while nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

fail() { echo "$1" >&2; exit 1; }

command -v "$PYTHON" > /dev/null || fail "There is no $PYTHON here. Install Python 3.11 or newer, or set PYTHON=/path/to/python3.11."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "Tidemill needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V). Set PYTHON=/path/to/python3.11."

if [ ! -x .venv/bin/pip ]; then
  if ! "$PYTHON" -c 'import ensurepip, venv' 2> /dev/null; then  # Debian keeps them in a package of their own
    package=$("$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || fail "Python's venv module is missing: apt-get install $package"
    echo "[1/4] installing $package"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$package"; } > /dev/null ||
      fail "Python's venv module is missing and could not be installed: apt-get install $package"
  fi
  echo "[1/4] creating .venv"
  rm -rf .venv
  "$PYTHON" -m venv .venv
fi

echo "[2/4] installing uv, the installer"
uv_pin=$(sed -n '/^uv==/,/^[^ ]*==/p' requirements/dev.lock | sed '$d')
[ -x .venv/bin/uv ] || .venv/bin/pip install -q --disable-pip-version-check --require-hashes -r <(echo "$uv_pin")

echo "[3/4] installing locked dependencies, real servers among them"
# Compiled here, so that the first start does not pay for it. Half a gigabyte: on a terminal, uv shows how far it is.
quiet=-q
[ -t 2 ] && quiet=
.venv/bin/uv pip install $quiet --python .venv/bin/python --compile-bytecode --require-hashes -r requirements/dev.lock

echo "[4/4] installing tidemill"
.venv/bin/uv pip install -q --python .venv/bin/python --no-deps --editable .
touch .venv/.ready
