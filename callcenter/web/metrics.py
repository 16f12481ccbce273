"""What Prometheus reads at /metrics: this process, its requests, its pushes to browsers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from flask import Flask, Response, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from callcenter.errors import NotFound
from callcenter.events import ResourcesSeen
from callcenter.web import auth
from callcenter.web.proxy import Way, networks_of, way_of

_PUSH_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30)


class Metrics:
    """One registry per application, so that tests do not meet each other's numbers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Histogram(
            "callcenter_http_request_seconds",
            "time of HTTP requests",
            ("method", "rule", "status"),
            registry=self.registry,
        )
        self.pops = Counter(
            "callcenter_pops_total", "call.ringing events staged", registry=self.registry
        )
        self.pops_seen = Counter(
            "callcenter_pops_seen_total", "pops a browser showed", registry=self.registry
        )
        self.push = Histogram(
            "callcenter_push_seconds",
            "time from a fact to its event leaving for the browser",
            ("event",),
            buckets=_PUSH_BUCKETS,
            registry=self.registry,
        )
        self.resources = Gauge(
            "callcenter_resource_used_ratio",
            "how much is taken of what can run out: disks, descriptors, ports, calls",
            ("node", "resource"),
            registry=self.registry,
        )
        self.alarms = Gauge(
            "callcenter_resource_alarm",
            "1 where a resource is short (90 %), until it is below 85 % again",
            ("node", "resource"),
            registry=self.registry,
        )
        self.sockets = Gauge("callcenter_sockets", "browsers connected now", registry=self.registry)
        self.agents = Gauge(
            "callcenter_agents_connected", "agents with a browser now", registry=self.registry
        )

    def seen(self, resources: ResourcesSeen) -> None:
        """Take what a node says of its resources."""
        for name, share in resources.shares.items():
            self.resources.labels(resources.node, name).set(share)
            self.alarms.labels(resources.node, name).set(name in resources.alarms)


def may_read(way: Way, readers: Sequence[str], proxies: Sequence[str]) -> bool:
    """Whether a request that came that way is from the networks `readers`.

    Through a proxy: only if it is one of `proxies` and names addresses, which then all have to be
    in `readers`. This machine is never meant there: a proxy's 127.0.0.1 is its own machine's, and
    what a proxy passes on unseen may say so without being true.
    """
    if not way.is_proxied:
        return _among(_address(way.peer), readers)
    named = [_address(one) for one in way.named]
    return (
        _among(_address(way.peer), proxies)
        and bool(named)
        and all(_among(one, readers) and not (one and one.is_loopback) for one in named)
    )


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    """None also for what is no address: proxies may say `unknown` (RFC 7239)."""
    try:
        found = ip_address(text or "")
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped:  # a socket for both families
        return found.ipv4_mapped
    return found


def _among(address: IPv4Address | IPv6Address | None, networks: Sequence[str]) -> bool:
    return address is not None and any(address in one for one in networks_of(networks))


def install(
    app: Flask, metrics: Metrics, readers: Sequence[str], proxies: Sequence[str] = ()
) -> None:
    """Register /metrics, for whom `may_read` lets, and the timing of requests."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def stop(response: Response) -> Response:
        rule = request.url_rule.rule if request.url_rule else "none"
        if "started" in g:
            spent = time.perf_counter() - g.started
            metrics.requests.labels(request.method, rule, response.status_code).observe(spent)
        return response

    @app.get("/metrics")
    @auth.public
    def show() -> Response:
        if not may_read(way_of(request.environ), readers, proxies):
            raise NotFound("there is no such page")
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_PLAIN_1_0_0)
