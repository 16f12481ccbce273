#!/usr/bin/env bash
# Programs that the tests use as real peers: installs what is missing on Debian and Ubuntu.
set -euo pipefail

say() { printf 'callcenter: %s\n' "$*" >&2; }

# program:package of Debian
needs="sipp:sip-tester chromium:chromium flite:flite espeak-ng:espeak-ng \
redis-server:redis-server kamailio:kamailio nginx:nginx initdb:postgresql \
fail2ban-regex:fail2ban faketime:faketime baresip:baresip-core"
missing=""
# Debian keeps servers in sbin and PostgreSQL's programs in a folder a version
PATH=$PATH:/usr/sbin:/sbin$(printf ':%s' /usr/lib/postgresql/*/bin)
for need in $needs; do
  program=${need%%:*}
  if [ "$program" = chromium ] && command -v chromium-browser google-chrome >/dev/null 2>&1; then
    continue
  fi
  command -v "$program" >/dev/null 2>&1 || missing="$missing ${need##*:}"
done
[ -n "$missing" ] || exit 0

root=""
if [ "$(id -u)" != 0 ]; then root="sudo -n"; fi
if command -v apt-get >/dev/null 2>&1 && { [ -z "$root" ] || sudo -n true 2>/dev/null; }; then
  say "installing for the tests:$missing"
  # The tests start servers of their own: Debian's shall not run on their fixed ports.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
    $root chmod 755 $policy
    trap '$root rm -f $policy' EXIT
  fi
  $root apt-get update -q >/dev/null || say "apt-get update failed; trying with the old lists"
  # shellcheck disable=SC2086
  if $root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing >/dev/null; then
    if [ -d /run/systemd/system ]; then
      for service in redis-server kamailio nginx postgresql; do
        case $missing in *"$service"*) $root systemctl disable -q "$service" || true ;; esac
      done
    fi
    exit 0
  fi
fi
say "################################################################################"
say "These programs are missing and could not be installed:$missing"
say "On Debian or Ubuntu: sudo apt-get install$missing"
say "On macOS: brew install sipp flite espeak-ng, and a Chromium"
say "################################################################################"
exit 1
