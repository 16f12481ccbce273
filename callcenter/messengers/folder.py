"""Each message a file: for trials without a mail server or provider. Nothing leaves."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from callcenter.crm.messages.ports import Outgoing
from callcenter.errors import MessageError, MessageRefused

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+|\+\d{6,15}")


class Folder:
    """`<folder>/<id>.json`, readable by this user only; writing one twice leaves one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Outgoing) -> None:
        """See Messenger."""
        if not _ADDRESS.fullmatch(message.to):
            raise MessageRefused("that is neither an e-mail address nor a number")
        text = json.dumps(asdict(message), ensure_ascii=False, indent=1)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = self._folder / f"{message.id}.json"
            part = file.with_suffix(".part")  # whoever looks finds a whole message or none
            part.touch(0o600)
            part.write_text(text, encoding="utf-8")
            part.replace(file)
        except OSError as error:
            raise MessageError(f"{self._folder}: {error.strerror}") from error
