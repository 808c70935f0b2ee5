"""A web page with the timeline of a video: a single file that loads nothing but the annotated video beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

from mien.inference.video.drawing import escape_text
from mien.inference.video.summary import TrackHistory, VideoSummary
from mien.inference.video.timeline import LEFT, MAX_PANELS, TOP, WIDTH, draw_timeline, seen_slots, video_seconds

LEGEND = 36  # height of the legend, where the mark of the time ends
PLAYER = '<video controls preload="metadata" src="{}"></video>'
PAGE = """<!doctype html>
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
{table}
<div id="chart" tabindex="0" role="application" aria-label="Timeline: arrow keys move the time">
{chart}</div>
<p class="note">{use} Probabilities are smoothed, and means over {slot} s. They say how faces look, not what people
feel.</p>
<script type="application/json" id="data">{data}</script>
<script>
{script}</script>
</body>
</html>
"""


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
    style, script = (Path(__file__).with_name(f"timeline.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return PAGE.format(
        name=escape_text(title),
        style=style,
        player=PLAYER.format(quote(os.fsencode(video))) if video else "",
        table=_table(people, summary.labels),
        chart=drawing.to_svg(),
        use="Click to move the video; drag, or use the arrow keys." if video else "Point at it, or use the arrow keys.",
        slot=f"{summary.slot:g}",
        data=_json(data),
        script=script,
    )


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
