"""A web page with the timeline of a video: a single file that loads nothing but the annotated video beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

from mien.inference.video.drawing import escape_text
from mien.inference.video.summary import TrackHistory, VideoSummary
from mien.inference.video.timeline import LEFT, MAX_PANELS, TOP, WIDTH, draw_timeline, seen_slots, video_seconds

LEGEND = 36  # below which the mark of the time ends


def timeline_page(summary: VideoSummary, title: str, video: str | None = None) -> str:
    """Return the page as HTML; `summary` is finished.

    Args:
        summary: Of the video.
        title: The video's name.
        video: The file name of the annotated video in the folder of the page, if there is one.
    """
    drawing = draw_timeline(summary, title)
    people = summary.longest(MAX_PANELS)
    data = {
        "left": LEFT,
        "width": WIDTH,
        "top": TOP,
        "bottom": drawing.height - LEGEND,
        "seconds": video_seconds(summary),
        "slot": summary.slot,
        "labels": summary.labels,
        "people": [{"slots": _percentages(track)} for track in people],
    }
    player = f'<video controls preload="metadata" src="{quote(os.fsencode(video))}"></video>' if video else ""
    use = "Click to move the video; drag, or use the arrow keys." if video else "Point at it, or use the arrow keys."
    name = escape_text(title)
    style, script = (Path(__file__).with_name(f"timeline.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}: apparent expressions over time</title>
<style>
{style}</style>
</head>
<body>
<h1>{name}</h1>
{player}
{_table(people, summary.labels)}
<div id="chart" tabindex="0" role="application" aria-label="Timeline: arrow keys move the time">
{drawing.to_svg()}</div>
<p class="note">{use} Probabilities are smoothed, and means over {summary.slot:g} s. They say how faces look, not what
people feel.</p>
<script type="application/json" id="data">{_json(data)}</script>
<script>
{script}</script>
</body>
</html>
"""


def _json(data: object) -> str:
    """Return JSON that cannot end the script which holds it."""
    return json.dumps(data, separators=(",", ":")).replace("<", r"\u003c")


def _table(people: list[TrackHistory], labels: tuple[str, ...]) -> str:
    """Return the table that the script fills in."""
    head = "".join(f'<th scope="col">{escape_text(label)}</th>' for label in labels)
    rows = "".join(
        f'<tr><th scope="row">#{track.track}</th>'
        + "".join(f'<td id="p{row}-{column}"></td>' for column in range(len(labels)))
        + "</tr>\n"
        for row, track in enumerate(people)
    )
    return f'<div class="table"><table>\n<tr><th id="time"></th>{head}</tr>\n{rows}</table></div>'


def _percentages(track: TrackHistory) -> dict[int, list[int]]:
    """Return the probabilities in percent by time slot, for slots in which the person is seen."""
    percentages = (100 * track.mean_probabilities).round().astype(int)
    return {int(slot): percentages[slot].tolist() for run in seen_slots(track) for slot in run}
