"""gunicorn inside our command: one worker, one thread for every request and open socket.

The socket is bound here, so that a taken port is a sentence and not a retry; everything that
has threads (bus, database, follower) is made in the worker, after the fork.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from callcenter.config import Settings
from callcenter.errors import StartError
from callcenter.logs import adopt
from callcenter.web.app import Runtime

THREADS = 400
GRACEFUL_SECONDS = 8
_LOGGER = structlog.get_logger()


class PlainLogger(Logger):  # type: ignore[misc]
    """gunicorn's words in our log's one format; requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        """Leave the handlers to the root logger."""
        self.cfg = cfg
        adopt("gunicorn.error", "gunicorn.access")

    def access(self, *_: Any) -> None:
        """The application writes its own line, without the query string."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """Closes the sockets when it is told to end, so that nobody waits for their threads."""

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """SIGTERM: in a thread, because a signal handler must not wait for a lock."""
        runtime: Runtime | None = getattr(self.app, "runtime", None)
        if runtime is not None and self.alive:
            threading.Thread(target=runtime.stop, name="web-stop", daemon=True).start()
        super().handle_exit(sig, frame)


class Server(BaseApplication):  # type: ignore[misc]
    """`make()` builds the application in the worker."""

    def __init__(
        self, settings: Settings, listener: socket.socket, make: Callable[[], Runtime]
    ) -> None:
        self._settings = settings
        self._descriptor = listener.fileno()
        self._make = make
        self.runtime: Runtime | None = None
        super().__init__()

    def load_config(self) -> None:
        """Everything is ours: no file, no environment, no command line."""
        tls = self._settings.web.tls
        options: dict[str, Any] = {
            "bind": f"fd://{self._descriptor}",
            "workers": 1,
            "worker_class": Worker,
            "threads": THREADS,
            "worker_connections": THREADS * 2,
            "timeout": 60,
            "graceful_timeout": GRACEFUL_SECONDS,
            "keepalive": 15,
            "logger_class": PlainLogger,
            "proc_name": "callcenter-web",
            "control_socket_disable": True,
            "limit_request_line": 8190,
            "forwarded_allow_ips": "127.0.0.1,::1",
        }
        if tls.certificate is not None:
            options |= {"certfile": str(tls.certificate), "keyfile": str(tls.key)}
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """In the worker: build, start the threads, serve."""
        self.runtime = self._make()
        self.runtime.start()
        return self.runtime.app


def listen(settings: Settings) -> socket.socket:
    """The bound socket. Raises StartError with one sentence."""
    host, port = settings.web.host, settings.web.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise StartError(
            f"web: {host} port {port} cannot be used ({error.strerror}): "
            "stop what listens there, or set web.port"
        ) from error
    listener.set_inheritable(True)
    return listener


def serve(settings: Settings, make: Callable[[], Runtime]) -> None:
    """Serve until SIGTERM; open requests and sockets get GRACEFUL_SECONDS."""
    listener = listen(settings)
    _LOGGER.info("web listens", host=settings.web.host, port=listener.getsockname()[1])
    server = Server(settings, listener, make)
    listener.detach()  # from here on gunicorn owns and closes it
    ours = os.getpid()
    try:
        server.run()
    except SystemExit as end:
        if os.getpid() != ours:
            raise  # the worker is a fork that unwinds through here; its end is not ours
        if end.code not in (0, None):
            raise StartError("web: the server's worker did not start; see the log") from end
