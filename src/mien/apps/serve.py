"""`mien serve`: the web page and the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files


def serve(  # noqa: PLR0913, PLR0917 (the options of the command)
    host: Annotated[
        str, typer.Option(envvar="MIEN_HOST", help="Address to bind to; 127.0.0.1 is this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to bind to; 0: a free one.")] = 8000,
    model: Annotated[list[str] | None, typer.Option(metavar="NAME|FILE", help="Load a model. Repeatable.")] = None,
    detector: Annotated[
        list[str] | None, typer.Option(metavar="NAME[:FILE][@PIXELS]", help="Load a face detector. Repeatable.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Threads that find faces; 0: two per core.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads per forward pass.")] = 1,
    queue: Annotated[int, typer.Option(min=0, help="Maximum requests at a time; more get 429. 0: two per core.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Maximum batch size, in faces; 1: no batching.")] = 32,
    max_mb: Annotated[int, typer.Option(min=1, max=1024, help="Maximum size of a request with images, in MiB.")] = 32,
    max_video_mb: Annotated[
        int, typer.Option(min=1, max=4096, help="Maximum size of a request with a video, in MiB.")
    ] = 128,
    max_video_frames: Annotated[
        int, typer.Option(min=1, help="Maximum frames per video; the result ends there.")
    ] = 9000,
    max_megapixels: Annotated[
        int, typer.Option(min=1, max=178, help="Maximum size of an image, in million pixels.")
    ] = 25,
    live_clients: Annotated[int, typer.Option(min=0, help="Maximum number of connected cameras.")] = 16,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Require this key (first line); default: $MIEN_API_KEY, if set."),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow a public address without a key.")] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Accept this host name in addition to localhost. Repeatable."),
    ] = None,
    drain: Annotated[float, typer.Option(min=0, help="After SIGTERM, accept connections for this many seconds.")] = 1.0,
    on_device: Annotated[
        bool,
        typer.Option("--on-device", help="Serve the page that recognizes in the browser instead, without the API."),
    ] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The built page of --on-device [default: browser/dist]")
    ] = None,
    plugin: PluginFiles = None,
) -> None:
    """Serve the web page and the HTTP API.

    They take images, videos and cameras, from a browser or a program. Only this machine can connect unless --host says
    otherwise, and then a key is required. No image is stored or logged. With --on-device, images do not even reach the
    server: the browser recognizes them. The result says how a face looks, not what a
    person feels.
    """
    try:
        from mien.apps.web.server import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "mien":
            raise
        from mien.core.errors import MissingExtraError

        raise MissingExtraError(f"mien serve (it uses {error.name})", "web") from None
    from mien.apps.web.settings import ServerLimits, ServerSettings, Timeouts, read_key

    def announce(lines: list[str]) -> None:
        typer.echo("\n".join(lines))

    if on_device or page is not None:
        from mien.apps.web.on_device import serve_page
        from mien.core.errors import MienError

        if model or detector:
            raise MienError(
                "The page of --on-device has its networks built in: leave out --model and --detector; build it with "
                'others, `make browser MODELS="own.onnx"`, or open model files on the page.'
            )
        only_page = ServerSettings(host=host, port=port, allow_no_key=True, hosts=tuple(allow_host or ()))
        serve_page(page, only_page, announce)
        return
    load_plugin_files(plugin)
    settings = ServerSettings(
        host=host,
        port=port,
        key=read_key(api_key_file),
        allow_no_key=insecure,
        hosts=tuple(allow_host or ()),
        models=tuple(model or ServerSettings.models),
        detectors=tuple(detector or ServerSettings.detectors),
        workers=workers,
        threads=threads,
        batch=batch,
        limits=ServerLimits(
            requests=queue,
            body_bytes=max_mb * 2**20,
            video_bytes=max_video_mb * 2**20,
            pending_bytes=max(ServerLimits.pending_bytes, max_mb * 2**21, max_video_mb * 2**21),
            pixels=max_megapixels * 10**6,
            video_frames=max_video_frames,
            live_clients=live_clients,
        ),
        timeouts=Timeouts(drain=drain),
    )
    run(settings, announce)
