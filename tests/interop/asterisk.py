"""A real Asterisk, from the folder that `tools/asterisk.sh` prepares."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PROGRAM = "/usr/sbin/asterisk"
_START_SECONDS = 90.0
_NEEDED = (
    *("res_pjproject", "res_sorcery_astdb", "res_sorcery_config", "res_sorcery_memory"),
    *("res_timing_timerfd", "res_crypto", "res_rtp_asterisk", "res_srtp", "res_musiconhold"),
    *("bridge_simple", "bridge_native_rtp", "bridge_softmix", "bridge_builtin_features"),
    *("codec_ulaw", "codec_alaw", "format_pcm", "format_sln", "format_wav", "chan_pjsip"),
    *("res_pjsip", "res_pjsip_acl", "res_pjsip_authenticator_digest", "res_pjsip_caller_id"),
    *("res_pjsip_dlg_options", "res_pjsip_dtmf_info", "res_pjsip_empty_info", "res_pjsip_nat"),
    *("res_pjsip_endpoint_identifier_ip", "res_pjsip_endpoint_identifier_user"),
    *("res_pjsip_outbound_authenticator_digest", "res_pjsip_outbound_registration"),
    *("res_pjsip_logger", "res_pjsip_pubsub", "res_pjsip_refer", "res_pjsip_registrar"),
    *("res_pjsip_rfc3326", "res_pjsip_sdp_rtp", "res_pjsip_session", "res_pjsip_diversion"),
    *("pbx_config", "app_dial", "app_echo", "app_exec", "app_mixmonitor", "app_playback"),
    *("res_clioriginate", "app_senddtmf", "app_verbose", "app_stack", "func_callerid"),
    "func_channel",
)
_MODULES = "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in _NEEDED)


def folder() -> Path | None:
    """Where a complete Asterisk is; None where `tools/asterisk.sh` has not made one."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    place = Path(os.environ.get("CALLCENTER_ASTERISK") or f"{home}/callcenter/asterisk")
    return place if (place / ".complete").exists() and os.geteuid() == 0 else None


class Asterisk:
    """One Asterisk with settings of its own, apart from any other on this machine.

    `files`: name of a settings file → its text. `prefix`: words before the program (taskset's).
    """

    def __init__(self, root: Path, files: Mapping[str, str], prefix: Sequence[str] = ()) -> None:
        self._root, self._prefix = root, list(prefix)
        self._inside = f"/tmp/callcenter-{secrets.token_hex(6)}"
        self.place = root / self._inside.lstrip("/")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        for name in ("etc", "run", "spool", "log", "db", "recordings"):
            (self.place / name).mkdir(parents=True)
        settings = {
            "asterisk.conf": self._directories(),
            "modules.conf": _MODULES,
            "logger.conf": _LOGGER,
        }
        for name, text in {**settings, **files}.items():
            (self.place / "etc" / name).write_text(text, encoding="utf-8")

    @property
    def recordings(self) -> Path:
        """Where the dialplan may write to, seen from outside; `inside` is the same from within."""
        return self.place / "recordings"

    @property
    def inside(self) -> str:
        """The folder of recordings as the dialplan names it."""
        return f"{self._inside}/recordings"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Wait until it is fully booted. Raises RuntimeError with the end of its log."""
        words = [*self._prefix, "chroot", str(self._root), _PROGRAM, "-f", "-C", self._settings]
        if "chrt" in self._prefix:
            words.append("-p")  # without it Asterisk gives the priority up at its start
        with (self.place / "output").open("wb") as output:
            self._process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + _START_SECONDS
        while "fully booted" not in self.console("core waitfullybooted"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self.place / "output").read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"Asterisk did not start: {tail}")
            time.sleep(0.2)

    def console(self, command: str) -> str:
        """What its console answers."""
        words = ["chroot", str(self._root), _PROGRAM, "-C", self._settings, "-rx", command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        return done.stdout

    def log(self) -> str:
        """Everything it logged."""
        return (self.place / "log" / "full").read_text(errors="replace")

    def stop(self) -> None:
        """End it and remove its folder."""
        self.end()
        shutil.rmtree(self.place, ignore_errors=True)

    def end(self) -> None:
        """End it, by force where it does not listen; its files stay."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def _settings(self) -> str:
        return f"{self._inside}/etc/asterisk.conf"

    def _modules(self) -> str:
        """As seen from within: Debian's folder has the machine's name in its path."""
        place = next((self._root / "usr" / "lib").glob("*/asterisk/modules"))
        return f"/{place.relative_to(self._root)}"

    def _directories(self) -> str:
        own = {"etc": "etc", "run": "run", "spool": "spool", "log": "log", "db": "db"}
        shared = {
            "varlib": "/var/lib/asterisk",
            "key": "/var/lib/asterisk",
            "data": "/usr/share/asterisk",
            "mod": self._modules(),
        }
        places = {name: f"{self._inside}/{folder}" for name, folder in own.items()} | shared
        lines = [f"ast{name}dir => {place}" for name, place in places.items()]
        return "\n".join(["[directories]", *lines, "[options]", "verbose = 3", "nocolor = yes", ""])


_LOGGER = "[general]\n[logfiles]\nfull = notice,warning,error,verbose\n"
