"""`mien serve`: the web page and the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(  # noqa: PLR0913, PLR0917 (the options of the command)
    host: Annotated[str, typer.Option(help="Address to listen at; 127.0.0.1 is this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8000,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME|FILE", help="A model to load; may be given several times.")
    ] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:FILE]", help="A face detector to load; may be given several times."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Threads that find faces; 0: two a core.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of a forward pass.")] = 1,
    queue: Annotated[int, typer.Option(min=0, help="Requests taken at a time, then 429; 0: two a core.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Most faces of one forward pass; 1: no batching.")] = 32,
    max_mb: Annotated[int, typer.Option(min=1, max=1024, help="Largest body with pictures, in MiB.")] = 32,
    max_video_mb: Annotated[int, typer.Option(min=1, max=4096, help="Largest body with a video, in MiB.")] = 128,
    max_video_frames: Annotated[int, typer.Option(min=1, help="Most frames of a video; the answer ends there.")] = 9000,
    max_megapixels: Annotated[int, typer.Option(min=1, max=178, help="Largest picture, in million pixels.")] = 25,
    live_clients: Annotated[int, typer.Option(min=0, help="Cameras that may be connected at a time.")] = 16,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ask for this key (first line); else $MIEN_API_KEY, if set."),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen on a public address without a key.")] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A host name that clients may use besides localhost.")
    ] = None,
    drain: Annotated[float, typer.Option(min=0, help="Seconds between SIGTERM and the end of listening.")] = 1.0,
) -> None:
    """Open the web page and the API: pictures, videos and cameras in a browser or a program.

    It listens on this machine alone unless --host says otherwise, and then wants a key. Nothing of the pictures is
    stored or logged. What is told is how a face looks, not what a person feels.
    """
    try:
        from mien.apps.web.server import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "mien":
            raise
        from mien.core.errors import MissingExtraError

        raise MissingExtraError(f"mien serve (it uses {error.name})", "web") from None
    from mien.apps.web.settings import BatchSettings, Offer, ServerLimits, ServerSettings, Times, read_key

    limits = ServerLimits()
    settings = ServerSettings(
        host=host,
        port=port,
        key=read_key(api_key_file),
        use_open_access=insecure,
        allowed_hosts=tuple(allow_host or ()),
        offer=Offer(
            models=tuple(model or Offer.models),
            detectors=tuple(detector or Offer.detectors),
            workers=workers,
            threads=threads,
        ),
        limits=ServerLimits(
            places=queue,
            body_bytes=max_mb * 2**20,
            video_bytes=max_video_mb * 2**20,
            pending_bytes=max(limits.pending_bytes, max_mb * 2**21, max_video_mb * 2**21),
            pixels=max_megapixels * 10**6,
            video_frames=max_video_frames,
            live_clients=live_clients,
        ),
        times=Times(drain=drain),
        batches=BatchSettings(faces=batch),
    )
    run(settings, lambda address: typer.echo(f"mien serves {address}/ (Ctrl-C ends it)"))
