"""Load a local server with many clients, beside the same server without batching and with a single client.

The cases take turns: on a busy machine only the ratios count. The processor time of a request hardly depends on what
else runs. The clients share the processor with the server. A client that receives 429 waits for Retry-After.

    python -m lab.benchmarks.serving --out results/serving.json
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from lab.benchmarks.command import make_parser, write_record
from mien.core.hardware import available_cores, processor_name

CLIENTS = 32
DETECTORS = ("yunet", "none")
COMMAND = "import typer; from mien.apps.serve import serve; typer.run(serve)"
FACE = (160, 70, 290, 200)  # of the portrait


@dataclass
class Tally:
    """Responses by status, and the milliseconds of those with status 200."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another turn."""
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.statuses += other.statuses
        self.times += other.times

    @property
    def rate(self) -> float:
        """Served requests per second."""
        return len(self.times) / self.seconds

    def quantile(self, part: float) -> float:
        """Quantile of the milliseconds of the served requests."""
        return float(np.quantile(self.times, part))


class Client:
    """A kept-alive connection with just enough HTTP to cost little itself."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> tuple[int, float]:
        """Send the request once; return the status, and Retry-After in seconds."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            self.close()
        return int(head.split(" ", 2)[1]), float(fields.get("retry-after", 0))

    def close(self) -> None:
        """Abort the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def load(port: int, request: bytes, clients: int, seconds: float) -> Tally:
    """Let clients send requests for some seconds."""
    jitter = np.random.default_rng(0)
    tally, end, start = Tally(), time.perf_counter() + seconds, time.perf_counter()

    async def work() -> None:
        client = Client(port, request)
        while (begin := time.perf_counter()) < end:
            try:
                status, pause = await client.ask()
            except (OSError, asyncio.IncompleteReadError) as error:
                tally.statuses[type(error).__name__] += 1
                client.close()
                continue
            tally.statuses[str(status)] += 1
            if status == 200:
                tally.times.append(1000 * (time.perf_counter() - begin))
            elif status == 429:
                await asyncio.sleep(min(pause * jitter.uniform(0.5, 1.0), max(end - time.perf_counter(), 0)))
        client.close()

    await asyncio.gather(*(work() for _ in range(clients)))
    tally.seconds = time.perf_counter() - start
    return tally


async def break_off(port: int, request: bytes, clients: int) -> None:
    """Let clients disconnect while sending or while waiting for the response."""
    for number in range(clients):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request[: len(request) // 2] if number % 2 else request)
            await asyncio.sleep(0.005)
            writer.transport.abort()
    await asyncio.sleep(3)


class Process:
    """A server in its own process."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "--port", "0", *words], stdout=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline()
        self.port = int(line.split("http://127.0.0.1:")[1].split("/")[0])

    def usage(self) -> dict[str, int]:
        """Return the process's memory in MiB, open files and threads."""
        proc = Path("/proc", str(self._process.pid))
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        return {
            "memory_mib": int(status["VmRSS"].split()[0]) // 1024,
            "files": len(list((proc / "fd").iterdir())),
            "threads": int(status["Threads"]),
        }

    def cpu_seconds(self) -> float:
        """Return the processor seconds of the process so far."""
        fields = Path("/proc", str(self._process.pid), "stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> int:
        """Send SIGTERM and return the exit code."""
        self._process.terminate()
        return self._process.wait(30)


@contextlib.contextmanager
def server(*words: str) -> Iterator[Process]:
    """Run a server within a `with` block."""
    process = Process(*words)
    try:
        yield process
    finally:
        process.end()


def requests() -> dict[str, bytes]:
    """Return the requests: a photograph with a face, and a cropped face."""
    image = Image.fromarray(skimage.data.astronaut())
    photograph, face = io.BytesIO(), io.BytesIO()
    image.save(photograph, "JPEG", quality=85)
    image.crop(FACE).resize((96, 96)).save(face, "JPEG", quality=85)
    return {
        "photograph": _request("/v1/recognize", photograph.getvalue()),
        "face": _request("/v1/recognize?detector=none", face.getvalue()),
    }


def _request(target: str, body: bytes) -> bytes:
    head = (
        f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def measure(process: Process, request: bytes, clients: int, seconds: float) -> Tally:
    """Load a server and measure its processor time."""
    before = process.cpu_seconds()
    tally = asyncio.run(load(process.port, request, clients, seconds))
    tally.cpu_seconds = process.cpu_seconds() - before
    return tally


def compare(batched: Process, unbatched: Process, request: bytes, rounds: int, seconds: float) -> dict[str, object]:
    """Measure one client and many, with and without batching, in turns."""
    cases = {
        "one client, unbatched": (unbatched, 1),
        f"{CLIENTS} clients, unbatched": (unbatched, CLIENTS),
        f"{CLIENTS} clients, batched": (batched, CLIENTS),
    }
    tallies = {name: Tally() for name in cases}
    for _ in range(rounds):
        for name, (process, clients) in cases.items():
            tallies[name].add(measure(process, request, clients, seconds))
    one = tallies["one client, unbatched"]
    return {
        name: {
            "throughput_ratio": round(tally.rate / one.rate, 3),
            "median_ratio": round(tally.quantile(0.5) / one.quantile(0.5), 3),
            "p99_ratio": round(tally.quantile(0.99) / one.quantile(0.5), 3),
            "cpu_ms_a_request": round(1000 * tally.cpu_seconds / len(tally.times), 2),
            "cores_used": round(tally.cpu_seconds / tally.seconds, 2),
            "requests_a_second": round(tally.rate, 1),
            "median_ms": round(tally.quantile(0.5), 2),
            "answers": dict(tally.statuses),
        }
        for name, tally in tallies.items()
    }


def soak(process: Process, request: bytes, seconds: float) -> dict[str, object]:
    """Load a server for a long time, then abort connections; measure its memory before, between and after."""
    asyncio.run(load(process.port, request, CLIENTS, 5))
    time.sleep(2)
    before = process.usage()
    alone = asyncio.run(load(process.port, request, 1, seconds / 6))
    tally = asyncio.run(load(process.port, request, CLIENTS, seconds))
    time.sleep(6)  # the server keeps idle connections for five seconds
    between = process.usage()
    asyncio.run(break_off(process.port, request, 10 * CLIENTS))
    after = process.usage()
    return {
        "clients": CLIENTS,
        "seconds": seconds,
        "answers": dict(tally.statuses),
        "p99_to_unloaded_median": round(tally.quantile(0.99) / alone.quantile(0.5), 3),
        "median_to_unloaded_median": round(tally.quantile(0.5) / alone.quantile(0.5), 3),
        "before": before,
        "after_load": between,
        f"after_{10 * CLIENTS}_broken_connections": after,
    }


def main() -> None:
    """Measure, print, and write the record."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="turns per case")
    parser.add_argument("--turn", type=float, default=6, help="seconds per turn")
    parser.add_argument("--seconds", type=float, default=60, help="seconds of the long load")
    options = parser.parse_args()
    words = [word for name in DETECTORS for word in ("--detector", name)]
    record: dict[str, object] = {
        "cpu": processor_name(),
        "cores": available_cores(),
        "load_average_before": os.getloadavg()[0],
        "detector": DETECTORS[0],
    }
    with server(*words) as batched, server(*words, "--batch", "1") as unbatched:
        for name, request in requests().items():
            record[name] = compare(batched, unbatched, request, options.rounds, options.turn)
            print(name, json.dumps(record[name], indent=1), flush=True)
        record["long_load"] = soak(batched, requests()["photograph"], options.seconds)
    write_record(record, options.out)


if __name__ == "__main__":
    main()
