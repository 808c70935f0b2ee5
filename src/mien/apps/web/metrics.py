"""What the server counts, for Prometheus: how much and how long, never of whom or what was seen."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24)
FACES = (1, 2, 4, 8, 16, 32, 64)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """One server's counters; each server has its own, so that several may live in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        r = self.registry
        self.requests = Counter("mien_requests", "Answered requests.", ["route", "method", "status"], registry=r)
        self.request_seconds = Histogram(
            "mien_request_seconds", "From a request's header to its answer.", ["route"], buckets=SECONDS, registry=r
        )
        self.pictures = Counter("mien_pictures", "Pictures and frames recognised.", ["kind"], registry=r)
        self.faces = Counter("mien_faces", "Faces scored by a network.", registry=r)
        self.batch_faces = Histogram("mien_batch_faces", "Faces in one forward pass.", buckets=FACES, registry=r)
        self.batch_seconds = Histogram("mien_batch_seconds", "One forward pass.", buckets=SECONDS, registry=r)
        self.places = Gauge("mien_places_taken", "Requests that are worked on or wait.", registry=r)
        self.jobs = Gauge("mien_jobs", "Jobs that the worker threads are at.", registry=r)
        self.live = Gauge("mien_live_clients", "WebSocket clients.", registry=r)
        self.bytes = Gauge("mien_body_bytes", "Bytes of request bodies held in memory.", registry=r)

    def observe_batch(self, faces: int, seconds: float) -> None:
        """Count one forward pass."""
        self.faces.inc(faces)
        self.batch_faces.observe(faces)
        self.batch_seconds.observe(seconds)

    def response(self) -> Response:
        """Return everything in Prometheus' text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class CountRequests:
    """ASGI middleware: counts and times requests by route, status and method."""

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
            # the template of the route, never the address itself: it is the client's text
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(route, method, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - start)
