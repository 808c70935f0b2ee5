"""Counters for Prometheus: how much and how long, never who asked or what was recognized."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24)
FACES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        ProcessCollector(registry=r)
        self.requests = Counter("mien_requests", "Responses.", ["route", "status"], registry=r)
        self.request_seconds = Histogram(
            "mien_request_seconds", "From a request's header to its response.", ["route"], buckets=SECONDS, registry=r
        )
        self.images = Counter("mien_images", "Images and frames recognized.", ["kind"], registry=r)
        self.faces = Counter("mien_faces", "Faces classified.", registry=r)
        self.batch_faces = Histogram("mien_batch_faces", "Faces per forward pass.", buckets=FACES, registry=r)
        self.batch_seconds = Histogram("mien_batch_seconds", "Forward passes.", buckets=SECONDS, registry=r)
        self.pending = Gauge("mien_requests_pending", "Requests in progress or waiting.", registry=r)
        self.jobs = Gauge("mien_jobs", "Jobs in progress in worker threads.", registry=r)
        self.live = Gauge("mien_live_clients", "WebSocket clients.", registry=r)
        self.bytes = Gauge("mien_body_bytes", "Bytes of request bodies in memory.", registry=r)

    def observe_batch(self, faces: int, seconds: float) -> None:
        """Count one forward pass."""
        self.faces.inc(faces)
        self.batch_faces.observe(faces)
        self.batch_seconds.observe(seconds)


class CountRequests:
    """ASGI middleware: counts and times requests by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note its status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            # the route's pattern, not the address, in which a client may write anything
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - start)
