"""Two machines of callcenter in one: two hosts behind Kamailio and nginx, PostgreSQL, Redis.

Each host is a real `callcenter run` with its own settings, folder and ports; Kamailio and nginx run
with the files of `deploy/`. `front` is the whole as callers and browsers see it.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
from servers import Postgres, RedisServer, Server, program
from world import World, free_port, wait_for

from callcenter import config
from callcenter.config import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
SPEECH_WORKERS = 2
"""Of each host."""


class Host(World):
    """One machine: its files are where its settings say."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        super().__init__(folder, data_dir=str(folder / "data"), **sections)

    @property
    def options(self) -> list[str]:
        """No --data-dir: the recordings are common to all hosts."""
        return ["--config", str(self.config)]

    @property
    def settings(self) -> Settings:
        """As the product reads them."""
        return config.load(self.config, environ={})

    def pids(self, process: str) -> list[int]:
        """Process ids of one kind of this host."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            ours = str(self.config) in words and "callcenter" in words
            if ours and words[words.index("callcenter") + 1] == process:
                found.append(int(entry.name))
        return sorted(found)


class Kamailio(Server):
    """`deploy/kamailio/kamailio.cfg` in front of the nodes."""

    def __init__(self, port: int, nodes: list[int]) -> None:
        super().__init__("kamailio")
        places = self.folder / "dispatcher.list"
        places.write_text("".join(f"1 sip:127.0.0.1:{node}\n" for node in nodes))
        file = self.folder / "kamailio.cfg"
        file.write_text((DEPLOY / "kamailio" / "kamailio.cfg").read_text())
        for path in (places, file):
            path.chmod(0o644)
        where = ["-l", f"udp:127.0.0.1:{port}", "-Y", str(self.folder), "-m", "64", "-M", "8"]
        defines = ["-A", f'NODES="{places}"']
        self.launch([program("kamailio"), "-DD", "-E", "-f", str(file), *where, *defines])
        self._port = port
        wait_for(self._answers, "Kamailio answers OPTIONS")

    def _answers(self) -> bool:
        request = (
            f"OPTIONS sip:127.0.0.1:{self._port} SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKfarm\r\nFrom: <sip:t@t>;tag=1\r\n"
            f"To: <sip:t@t>\r\nCall-ID: {time.monotonic()}\r\nCSeq: 1 OPTIONS\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(0.5)
            line.sendto(request.encode(), ("127.0.0.1", self._port))
            try:
                return b" 200 " in line.recv(4096)
            except OSError:
                return False


class Nginx(Server):
    """`deploy/nginx/callcenter.conf` in front of the web processes."""

    def __init__(self, port: int, webs: list[int]) -> None:
        super().__init__("nginx")
        text = (DEPLOY / "nginx" / "callcenter.conf").read_text()
        hosts = iter(webs)
        text, replaced = re.subn(
            r"server 10\.0\.0\.\d+:8080", lambda _: f"server 127.0.0.1:{next(hosts)}", text
        )
        assert replaced == len(webs)
        assert "listen 80;" in text
        site = self.folder / "callcenter.conf"
        site.write_text(text.replace("listen 80;", f"listen 127.0.0.1:{port};"))
        temp = "".join(
            f"{name}_temp_path {self.folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = self.folder / "nginx.conf"
        main.write_text(
            f"daemon off;\npid {self.folder}/pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temp}include {site};\n}}\n"
        )
        for path in (site, main):
            path.chmod(0o644)
        self.launch([program("nginx"), "-c", str(main), "-e", "stderr"])


class Farm:
    """The whole."""

    people: ClassVar = {"dana": "agent", "omid": "agent", "sara": "supervisor"}

    def __init__(self, folder: Path) -> None:
        self.postgres, self.redis = Postgres(), RedisServer()
        self.folder = folder
        self.web_port, self.sip_port = free_port(), free_port(socket.SOCK_DGRAM)
        common: dict[str, Any] = {
            "database_url": self.postgres.blank(),
            "bus_url": self.redis.url,
            "recordings_dir": str(folder / "recordings"),
            "recording": {"format": "wav"},
            "queues": [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 60}],
            "speech": {"workers": SPEECH_WORKERS, "second_pass": "off"},
        }
        public = {"public_url": f"http://127.0.0.1:{self.web_port}"}
        self.hosts: dict[str, Host] = {}
        for place, name in enumerate(("a", "b")):
            host = Host(folder / name, node=name, web=public, **common)
            _set_rtp(host, 20_000 + 2_000 * place)
            self.hosts[name] = host
        self.front = Host(folder / "front", node="front", web=public, **common)
        self.front.base, self.front.sip_port = public["public_url"], self.sip_port
        self.kamailio: Kamailio | None = None
        self.nginx: Nginx | None = None

    def start(self) -> Farm:
        """Everything, until both hosts and the way through nginx are ready.

        The first user makes the tables and is no one's race; the rest comes at the same time.
        """
        first, *others = self.people.items()
        self.front.add_user(*first)
        with ThreadPoolExecutor() as pool:
            begun: list[Future[Any]] = [pool.submit(host.start) for host in self.hosts.values()]
            begun += [pool.submit(self.front.add_user, *one) for one in others]
            for one in begun:
                one.result()
        self.kamailio = Kamailio(self.sip_port, [h.sip_port for h in self.hosts.values()])
        self.nginx = Nginx(self.web_port, [h.web_port for h in self.hosts.values()])
        wait_for(lambda: self.status() == 200, "the system is ready through nginx")
        return self

    def status(self) -> int:
        """What /readyz says through nginx; 0 where nothing answers."""
        try:
            return httpx.get(self.front.base + "/readyz", timeout=10, trust_env=False).status_code
        except httpx.HTTPError:
            return 0

    def close(self) -> None:
        """Whatever runs still."""
        self.front._let_go()
        for host in self.hosts.values():
            if host._process is not None:
                host.kill_all()
        for server in (self.nginx, self.kamailio, self.redis, self.postgres):
            if server is not None:
                server.remove()


def _set_rtp(host: Host, first: int) -> None:
    text = host.config.read_text(encoding="utf-8")
    ports = f'"rtp_ports": [{first}, {first + 999}]'
    text, count = re.subn(r'"rtp_ports": \[\d+, \d+\]', ports, text)
    assert count == 1
    host.config.write_text(text, encoding="utf-8")


@contextmanager
def farm(folder: Path) -> Iterator[Farm]:
    """A started farm whose hosts stop well at the end."""
    made = Farm(folder)
    try:
        yield made.start()
        made.front._let_go()
        for host in made.hosts.values():
            if host._process is not None:
                host.tell_to_stop()
        for host in made.hosts.values():
            if host._process is not None:
                assert host.stopped() == 0
    finally:
        made.close()
