"""The map: where images lie, coloured by rank, and an area to be drawn that limits what is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from nicegui import ui

from rsir_tf.web.fragments import thumbnail_url
from rsir_tf.web.question import Question

if TYPE_CHECKING:
    from rsir_tf.web.house import House
    from rsir_tf.workflows.browsing import Browsed

MOST_SHOWN = 200
"""Footprints on the map at most."""

PICTURE_PIXELS = (48, 4096)
"""Pixels on the screen between which an image's picture is laid on the map."""

DOT_PIXELS = 10
"""Pixels on the screen up to which a footprint is marked by a dot, so that it can be seen at all."""

AFTER_DRAWING = 0.5
"""Seconds after the end of a drawing in which a click still belongs to it."""

SCALE = ((213, 94, 0), (179, 90, 156), (31, 120, 200))
"""From near to far: orange, purple, blue. Colour-blind readers can tell the ends apart, and each colour has a contrast
of 3:1 or more to the map in dark and in light. Lines become thinner besides."""

HELP = (
    """<p class="none">A click searches with {words}. Draw a rectangle or a polygon to search in it alone.{scale}</p>"""
)
AROUND = """<label class="tick"><input type="checkbox" data-around> a click searches with the window of the scene around
it, not with the indexed image</label>"""


class MapPanel:
    """A map on the page.

    Args:
        house: That answers.
        basemap: Address of a base map's pictures; None shows none.
        scenes: Whether images are windows of scenes.
        go: Called with the question that a visitor asks on the map.
    """

    def __init__(self, house: House, basemap: str | None, scenes: bool, go: Callable[[Question], None]) -> None:
        self._house, self._basemap, self._go = house, basemap, go
        self._question = Question()
        self._browsed: Browsed | None = None
        self._rows: list[int] = []
        self._around = self._drawing = False
        self._drawn_at = 0.0
        self._details: dict[tuple[str, int], Any] = {}
        drawing = {"polygon": True, "rectangle": {"showArea": False}}
        drawing |= dict.fromkeys(("marker", "circle", "circlemarker", "polyline"), False)
        with ui.element("section").props('aria-label="Map"'):
            self._map = ui.leaflet(
                center=(0, 0),
                zoom=1,
                options={"attributionControl": basemap is not None, "worldCopyJump": True, "maxZoom": 22},
                draw_control={"draw": drawing, "edit": {"edit": False, "remove": False}},
                hide_drawn_items=True,
            ).classes("map")
            self._help = ui.html("", sanitize=False)
            if scenes:
                ui.html(AROUND, sanitize=False)
        self._map.clear_layers()  # NiceGUI begins with a base map from elsewhere.
        self._map.on("map-click", self._clicked)
        self._map.on("draw:drawstart", lambda _: self._draw(True))
        self._map.on("draw:drawstop", lambda _: self._draw(False))
        self._map.on("draw:created", self._drawn)
        self._map.on("map-zoomend", lambda _: self._lay_details())
        self._map.on("init", lambda _: self._fit())
        ui.on("around", lambda event: setattr(self, "_around", bool(event.args)))

    def show(self, browsed: Browsed, rows: list[int], question: Question) -> None:
        """Show the footprints of images.

        Args:
            browsed: The index.
            rows: Of the images, nearest first.
            question: That found them.
        """
        self._browsed, self._rows, self._question = browsed, rows[:MOST_SHOWN], question
        scale = " Near images are orange and far ones blue." if question.asks else ""
        words = "the part of the scene there" if question.path else "the image there"
        self._help.set_content(HELP.format(words=words, scale=scale))
        self._map.clear_layers()
        self._details = {}
        if self._basemap is not None:
            self._map.tile_layer(url_template=self._basemap, options={"maxZoom": 22})
        if question.area:
            corners = [[lat, lon] for lon, lat in question.area]
            self._map.generic_layer(name="polygon", args=[corners, {"className": "drawn", "interactive": False}])
        for rank, row in reversed(list(enumerate(self._rows))):  # The nearest is drawn last, on top.
            for ring in _rings(browsed.footprints.geometries[row]):
                self._map.generic_layer(name="polygon", args=[ring, self._style(rank)])
        self._fit()

    def _style(self, rank: int) -> dict[str, Any]:
        part = rank / max(len(self._rows) - 1, 1) if self._question.asks else 1.0
        return {"color": colour(part), "weight": 4 - 2 * part, "fillOpacity": 0.15}

    def _fit(self) -> None:
        if self._browsed is None or not self._rows:
            return
        known = [each for each in self._browsed.footprints.geometries[self._rows] if each is not None]
        if known:
            west, south, east, north = shapely.total_bounds(known).tolist()
            self._map.run_map_method("fitBounds", [[south, west], [north, east]], {"padding": [20, 20]})
        self._lay_details()

    def _lay_details(self) -> None:
        """Lay pictures on footprints that are large on the screen, and dots on those that are hardly to be seen."""
        if self._browsed is None:
            return
        wanted: dict[tuple[str, int], tuple[float, float, float, float]] = {}
        for rank, row in reversed(list(enumerate(self._rows))):
            ground = self._browsed.footprints.geometries[row]
            if ground is None or ground.is_empty:
                continue
            west, south, east, north = ground.bounds
            across = (east - west) / 360 * 256 * 2**self._map.zoom
            if across <= DOT_PIXELS:
                wanted["dot", rank] = ground.bounds
            elif PICTURE_PIXELS[0] <= across <= PICTURE_PIXELS[1]:
                wanted["picture", rank] = ground.bounds
        for gone in self._details.keys() - wanted.keys():
            self._map.remove_layer(self._details.pop(gone))
        for (kind, rank), (west, south, east, north) in wanted.items():
            if (kind, rank) in self._details:
                continue
            if kind == "dot":
                style = self._style(rank) | {"radius": DOT_PIXELS / 2, "fillOpacity": 0.6}
                middle = [(south + north) / 2, (west + east) / 2]
                self._details[kind, rank] = self._map.generic_layer(name="circleMarker", args=[middle, style])
            else:
                url, bounds = thumbnail_url(self._browsed, self._rows[rank]), [[south, west], [north, east]]
                self._details[kind, rank] = self._map.image_overlay(url=url, bounds=bounds)

    async def _clicked(self, event: Any) -> None:
        """Ask with the image at this place, or with the part of its scene around the place."""
        if self._browsed is None or self._drawing or time.monotonic() - self._drawn_at < AFTER_DRAWING:
            return
        place, question, browsed = event.args["latlng"], self._question, self._browsed
        lonlat = (round(float(place["lng"]), 7), round(float(place["lat"]), 7))
        row = await self._house.pictures.run(browsed.footprints.at, *lonlat)
        dot = self._dot(browsed, *lonlat) if row is None else row
        if row is not None and self._around:
            self._go(question.asking(path=browsed.file_of(row), lonlat=lonlat))
        elif question.path:
            self._go(question.asking(path=question.path, lonlat=lonlat))
        elif dot is not None:
            self._go(question.asking(id=(browsed.index.images.ids[dot],)))
        else:
            ui.notify("No image of this index shows this place.")

    def _dot(self, browsed: Browsed, lon: float, lat: float) -> int | None:
        """The row of the image whose dot is at a place: it is larger than the footprint."""
        if not self._rows:
            return None
        away = shapely.distance(browsed.footprints.geometries[self._rows], shapely.Point(lon, lat))
        nearest = int(np.argmin(np.nan_to_num(away, nan=np.inf)))
        reach = DOT_PIXELS * 360 / 256 / 2**self._map.zoom
        return self._rows[nearest] if away[nearest] <= reach else None

    def _draw(self, begins: bool) -> None:
        self._drawing, self._drawn_at = begins, time.monotonic()

    def _drawn(self, event: Any) -> None:
        """Limit what is found to the area that was drawn."""
        corners = event.args["layer"]["_latlngs"][0]
        area = tuple((round(float(each["lng"]), 7), round(float(each["lat"]), 7)) for each in corners)
        self._go(Question.parse(replace(self._question, area=area, page=1).query()))


def colour(part: float) -> str:
    """The colour of a hit, from 0 for the nearest to 1 for the farthest."""
    first = min(int(part * 2), 1)
    near, far, between = SCALE[first], SCALE[first + 1], part * 2 - first
    return "#" + "".join(f"{round(a + (b - a) * between):02x}" for a, b in zip(near, far, strict=True))


def _rings(ground: Any) -> list[list[list[float]]]:
    """The outlines of a footprint, [latitude, longitude] of each corner."""
    if ground is None or ground.is_empty:
        return []
    parts = shapely.get_parts(ground)
    return [[[lat, lon] for lon, lat in shapely.get_coordinates(part.exterior).tolist()] for part in parts]
