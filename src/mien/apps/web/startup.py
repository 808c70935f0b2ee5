"""What a server says when it starts: where it is, and what it has loaded."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

from mien.apps.web.engine import Engine
from mien.core.card import ModelCard
from mien.core.text import points

ELSEWHERE = ("192.0.2.1", "2001:db8::1")  # never assigned (RFC 5737, RFC 3849); nothing is sent there


def starting_lines(engine: Engine, host: str, port: int) -> list[str]:
    """Return the address to open, and below it the API's page, models, detectors and who may connect.

    `host` and `port` are those that the server is bound to.
    """
    first, *others = addresses(host, port)
    (model, *models), (detector, *detectors) = engine.models.items(), engine.detectors
    rows = [("also at", f"{address}/") for address in others]
    rows += [("API", f"{first}/docs"), ("model", describe_model(model[0], model[1].card))]
    rows += [("", describe_model(name, loaded.card)) for name, loaded in models]
    rows += [("detector", f"{detector} (or {', '.join(detectors)})" if detectors else detector)]
    rows += [("access", describe_access(engine))]
    return [f"Serving at {first}/ (stop with Ctrl-C)", *(f"  {name:<9} {text}" for name, text in rows)]


def addresses(host: str, port: int) -> list[str]:
    """Return addresses that a browser can open, the best one first.

    A server that is bound to every address (`0.0.0.0`, `::`) is found at this machine's own one and in its network.
    """
    address = ipaddress.ip_address(host)
    hosts = [host]
    if address.is_unspecified:
        hosts = ["localhost", *filter(None, [_network_address(address.version)])]
    return [f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}" for name in hosts]


def describe_model(name: str, card: ModelCard) -> str:
    """Return a model's name, how many expressions it knows, and its accuracy if the card has it."""
    scores = card.scores
    accuracy = scores.get("accuracy")
    data = ", ".join(str(scores[key]) for key in ("dataset", "split") if scores.get(key))
    measured = f", {points(accuracy, unit=' %')} right on {data}" if isinstance(accuracy, float) and data else ""
    return f"{name} ({len(card.labels)} expressions{measured})"


def describe_access(engine: Engine) -> str:
    """Return who can connect, and whether a key is required."""
    settings = engine.settings
    who = "this machine only" if settings.is_loopback else "every machine that can reach this one"
    return f"{who}, {'with the API key' if settings.key else 'without a key'}"


def _network_address(version: int) -> str | None:
    """Return this machine's address in its network; None without one."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((ELSEWHERE[version == 6], 9))
        return str(probe.getsockname()[0])
    return None
