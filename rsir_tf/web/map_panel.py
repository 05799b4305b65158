"""The map: where images lie, coloured by rank, and an area to be drawn that limits what is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import shapely
from nicegui import ui

from rsir_tf.errors import InputError
from rsir_tf.web.fragments import thumbnail_url
from rsir_tf.web.question import Question

if TYPE_CHECKING:
    from rsir_tf.web.house import House
    from rsir_tf.workflows.browsing import Browsed

MOST_SHOWN = 200
"""Footprints on the map at most."""

PICTURE_PIXELS = 48
"""Pixels on the screen from which on an image's picture is laid on the map."""

NEAR, FAR = (253, 231, 37), (68, 1, 84)
"""Ends of a scale from near to far that colour-blind readers can follow (viridis)."""


class MapPanel:
    """A map on the page.

    Args:
        house: That answers.
        basemap: Address of a base map's pictures; None shows none.
        go: Called with the question that a visitor asks on the map.
    """

    def __init__(self, house: House, basemap: str | None, go: Callable[[Question], None]) -> None:
        self._house, self._basemap, self._go = house, basemap, go
        self._question = Question()
        self._browsed: Browsed | None = None
        self._rows: list[int] = []
        self._overlays: list[Any] = []
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
        self._map.clear_layers()  # NiceGUI begins with a base map from elsewhere.
        self._map.on("map-click", self._clicked)
        self._map.on("draw:created", self._drawn)
        self._map.on("map-zoomend", lambda _: self._lay_pictures())
        self._map.on("init", lambda _: self._fit())

    def show(self, browsed: Browsed, rows: list[int], question: Question) -> None:
        """Show the footprints of images.

        Args:
            browsed: The index.
            rows: Of the images, nearest first.
            question: That found them.
        """
        self._browsed, self._rows, self._question = browsed, rows[:MOST_SHOWN], question
        self._map.clear_layers()
        self._overlays = []
        if self._basemap is not None:
            self._map.tile_layer(url_template=self._basemap, options={"maxZoom": 22})
        if question.area:
            corners = [[lat, lon] for lon, lat in question.area]
            self._map.generic_layer(
                name="polygon", args=[corners, {"color": "#d55e00", "fill": False, "dashArray": "6"}]
            )
        count = max(len(self._rows) - 1, 1)
        for rank, row in reversed(list(enumerate(self._rows))):  # The nearest is drawn last, on top.
            colour = _between(NEAR, FAR, rank / count if question.asks else 1.0)
            for ring in _rings(browsed.footprints.geometries[row]):
                style = {"color": colour, "weight": 2, "fillOpacity": 0.25}
                self._map.generic_layer(name="polygon", args=[ring, style])
        self._fit()

    def _fit(self) -> None:
        if self._browsed is None or not self._rows:
            return
        known = [each for each in self._browsed.footprints.geometries[self._rows] if each is not None]
        if known:
            west, south, east, north = shapely.total_bounds(known).tolist()
            self._map.run_map_method("fitBounds", [[south, west], [north, east]], {"padding": [20, 20]})
        self._lay_pictures()

    def _lay_pictures(self) -> None:
        """Lay pictures on the map where they are large enough on the screen to be seen."""
        if self._browsed is None:
            return
        for layer in self._overlays:
            self._map.remove_layer(layer)
        self._overlays = []
        for row in self._rows:
            ground = self._browsed.footprints.geometries[row]
            if ground is None or ground.is_empty:
                continue
            west, south, east, north = ground.bounds
            across = (east - west) / 360 * 256 * 2**self._map.zoom
            if PICTURE_PIXELS <= across <= 4096:
                bounds = [[south, west], [north, east]]
                self._overlays.append(self._map.image_overlay(url=thumbnail_url(self._browsed, row), bounds=bounds))

    def _clicked(self, event: Any) -> None:
        """Ask with the image at this place; where a scene asks, with its window there."""
        from rsir_tf.workflows.footprints import image_at

        place = event.args["latlng"]
        if self._browsed is None:
            return
        if self._question.path:
            lonlat = (round(float(place["lng"]), 7), round(float(place["lat"]), 7))
            self._go(self._question.asking(path=self._question.path, lonlat=lonlat))
            return
        try:
            row = image_at(self._browsed.index, float(place["lng"]), float(place["lat"]))
        except InputError:
            ui.notify("No image of this index shows this place.")
            return
        self._go(self._question.asking(id=(self._browsed.index.images.ids[row],)))

    def _drawn(self, event: Any) -> None:
        """Limit what is found to the area that was drawn."""
        layer = event.args["layer"]
        corners = layer["_latlngs"][0]
        area = tuple((round(float(each["lng"]), 7), round(float(each["lat"]), 7)) for each in corners)
        self._go(Question.parse(self._question.url(area=area, page=1).partition("?")[2]))


def _rings(ground: Any) -> list[list[list[float]]]:
    """The outlines of a footprint, [latitude, longitude] of each corner."""
    if ground is None or ground.is_empty:
        return []
    parts = shapely.get_parts(ground)
    return [[[lat, lon] for lon, lat in shapely.get_coordinates(part.exterior).tolist()] for part in parts]


def _between(one: tuple[int, ...], other: tuple[int, ...], part: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(one, other, strict=True))
