#!/usr/bin/env bash
# Resolves the dependencies anew; the lock files carry hashes and name no package index.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --custom-compile-command "make lock" "$@"
}

compile requirements/bootstrap.in -o requirements/bootstrap.lock
compile pyproject.toml -o requirements/runtime.lock
compile pyproject.toml --extra test -c requirements/runtime.lock -o requirements/test.lock
compile requirements/fuzz.in -o requirements/fuzz.lock
