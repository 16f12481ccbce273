"""A helper process that is asked questions: one JSON object a line each way."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from callcenter.errors import CallcenterError

Message = dict[str, Any]


class Helper:
    """`python -m MODULE WORDS…` as somebody to ask."""

    def __init__(self, module: str, *words: str) -> None:
        self.module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the measurement, which ends it
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, what: str, **more: Any) -> Any:
        """What it answers. Raises CallcenterError with its sentence, or where it died."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"do": what, **more}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise CallcenterError(f"{self.module} ended while it was asked to {what}")
        answer = json.loads(line)
        if "problem" in answer:
            raise CallcenterError(answer["problem"])
        return answer["answer"]

    def close(self) -> None:
        """End it: it leaves by itself when nobody can ask any more."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


async def serve(answer: Callable[[Message], Awaitable[Any]]) -> None:
    """In the helper: answer each line of stdin until it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            said = {"answer": await answer(json.loads(line))}
        except CallcenterError as error:
            said = {"problem": error.detail}
        except Exception as error:
            said = {"problem": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
