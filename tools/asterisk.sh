#!/usr/bin/env bash
# A current Asterisk, for tests and comparisons only: Debian sid in a folder of its own (one to six minutes, 400 MB).
#
#   tools/asterisk.sh [FOLDER]     prepares it where it is missing and prints the folder
#
# Debian 12 and 13 hold no Asterisk. The mirror is the one that this machine's own apt uses for Debian. Needs root
# (debootstrap and chroot). Nothing of it reaches the product or the repository.
set -euo pipefail

folder=${1:-${CALLCENTER_ASTERISK:-${XDG_CACHE_HOME:-$HOME/.cache}/callcenter/asterisk}}
say() { printf 'callcenter: %s\n' "$*" >&2; }
give_up() { say "no Asterisk here: $*"; exit 1; }

mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
if [ -x "$folder/usr/sbin/asterisk" ] && [ -e "$folder/.complete" ]; then
  printf '%s\n' "$folder"
  exit 0
fi

[ "$(id -u)" = 0 ] || give_up "this needs root (sudo tools/asterisk.sh $folder)"
command -v apt-get >/dev/null 2>&1 || give_up "this is no Debian or Ubuntu"
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
  awk '$1 == "Debian" && $2 !~ /security/ {print $2; exit}')
[ -n "$mirror" ] || give_up "apt knows no mirror of Debian"
apt() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" >/dev/null; }
command -v debootstrap >/dev/null 2>&1 || apt install -qy --no-install-recommends debootstrap ||
  give_up "debootstrap cannot be installed"

# debootstrap does not read apt's settings: a proxy that apt uses is handed on.
proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy)
if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then export http_proxy=$proxy; fi

say "fetching Asterisk from Debian sid into $folder"
rm -rf "$folder"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
log="$folder.log"
if ! debootstrap --variant=minbase ${keyring:+--keyring="$keyring"} sid "$folder" "$mirror" >"$log" 2>&1; then
  tail -3 "$log" >&2
  give_up "debootstrap failed (see $log)"
fi
# No service may start in there, and nothing but the programs is needed.
printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
chmod 755 "$folder/usr/sbin/policy-rc.d"
printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\n' >"$folder/etc/dpkg/dpkg.cfg.d/small"
if ! DEBIAN_FRONTEND=noninteractive chroot "$folder" \
  apt-get install -qy --no-install-recommends asterisk >>"$log" 2>&1; then
  tail -3 "$log" >&2
  give_up "its packages could not be installed (see $log)"
fi
chroot "$folder" apt-get clean
# Asterisk asks for the machine's own name at every call: without an answer here each waits for DNS.
printf '127.0.0.1 localhost %s\n' "$(hostname)" >"$folder/etc/hosts"
touch "$folder/.complete"
say "$(chroot "$folder" /usr/sbin/asterisk -V) is in $folder"
printf '%s\n' "$folder"
