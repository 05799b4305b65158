"""The drawing board: ground units to pixels, shadows, light."""

import numpy as np
import pytest

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import Path, box, disc, place, rectangle
from rsir_tf.archives.synthetic.materials import SURFACES, Material
from rsir_tf.archives.synthetic.noise import octaves, smooth_noise
from rsir_tf.archives.synthetic.photograph import surface_map, take_photograph


def make_canvas(size=64, seed=0):
    return Canvas(size, np.random.default_rng(seed), np.random.default_rng(seed + 1))


def test_a_box_covers_its_pixels():
    # 64 pixels for 256 ground units, twice supersampled: half a canvas pixel a unit, the origin at (64, 64).
    canvas = make_canvas()
    canvas.fill(box(0, -32, 64, 32), (10, 20, 30), Material.ROOF)
    rows, columns = np.nonzero(canvas.material == Material.ROOF)
    # x 0..64 → columns 64..96, y -32..32 → rows 48..80; outlines belong to the polygon.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (48, 80, 64, 96)
    assert canvas.colour[60, 70].tolist() == [10, 20, 30]


def test_turning_by_a_right_angle_takes_x_to_y():
    canvas = make_canvas()
    canvas.turn(np.pi / 2)
    canvas.fill(box(20, -4, 100, 4), (1, 2, 3), Material.ROOF)
    rows, columns = np.nonzero(canvas.material == Material.ROOF)
    assert rows.min() >= 73
    assert rows.max() >= 113
    assert abs(columns.mean() - 64) < 1
    # And what is asked in turned coordinates is answered there.
    assert canvas.material_at(60, 0) == Material.ROOF
    assert canvas.material_at(0, 60) == Material.ASPHALT
    assert canvas.material_at(0, 200) is None


def test_a_shadow_darkens_and_keeps_the_material():
    canvas = make_canvas()
    canvas.cover((120, 120, 120), Material.GRASS)
    canvas.sun = np.array([1.0, 0.0])
    canvas.cast(box(-10, -10, 10, 10), height=20)
    assert (canvas.material == Material.GRASS).all()
    shaded = np.argwhere(canvas.shadow)
    # From the thing's left edge at -10 to its right edge's shadow at 10 + 20 · 1: columns 59..79.
    assert (shaded[:, 1].min(), shaded[:, 1].max()) == (59, 79)
    image = take_photograph(canvas, np.random.default_rng(0)).astype(float)
    small = canvas.shadow[::2, ::2] > 0
    assert image[small].mean() < 0.75 * image[~small].mean()
    assert (surface_map(canvas) == Material.GRASS).all()


def test_what_rises_above_a_shadow_is_lit():
    canvas = make_canvas()
    canvas.shadow[:] = 255
    canvas.fill(box(-20, -20, 20, 20), (9, 9, 9), Material.ROOF)
    assert canvas.shadow.all()
    canvas.fill(box(-20, -20, 20, 20), (9, 9, 9), Material.ROOF, lit=True)
    assert not canvas.shadow[60:68, 60:68].any()


def test_slopes_that_face_the_sun_are_bright():
    canvas = make_canvas()
    canvas.sun = np.array([0.0, -1.0])  # Shadows point up, so the sun stands at the bottom.
    assert canvas.light(np.pi / 2) == pytest.approx(1)
    assert canvas.light(-np.pi / 2) == pytest.approx(-1)
    assert canvas.light(0) == pytest.approx(0, abs=1e-12)
    canvas.turn(np.pi / 2)
    assert canvas.light(0) == pytest.approx(1)


def test_paint_mixes_two_colours():
    canvas = make_canvas()
    everywhere = np.ones((canvas.side, canvas.side), dtype=bool)
    share = np.zeros((canvas.side, canvas.side), dtype=np.float32)
    share[:10], share[10:20] = 2.0, 0.5
    canvas.paint(everywhere, (0, 100, 200), (100, 100, 0), share, Material.SAND)
    assert canvas.colour[0, 0].tolist() == [100, 100, 0]
    assert canvas.colour[50, 0].tolist() == [0, 100, 200]
    # .5 · 255 is cut to level 127 of 255: .498 of the way.
    assert canvas.colour[15, 0].tolist() == [50, 100, 100]
    assert (canvas.material == Material.SAND).all()


def test_stamps_are_cut_at_the_edge():
    canvas = make_canvas()
    shape = np.ones((11, 11), dtype=bool)
    red = np.broadcast_to(np.uint8([200, 0, 0]), (11, 11, 3)).copy()
    canvas.stamp(0, 127, shape, red, Material.CROWN)
    canvas.stamp(-50, 300, shape, red, Material.CROWN)
    # Half of 11 on either side of the middle: 6 columns and 6 rows are on the canvas.
    assert (canvas.material == Material.CROWN).sum() == 36
    assert (canvas.colour[..., 0] == 200).sum() == 36


def test_place_turns_then_moves():
    corner = place(rectangle(4, 2), 10, 20, np.pi / 2)[2]
    # (2, 1) turned by a quarter is (-1, 2).
    np.testing.assert_allclose(corner, (9, 22))


def test_paths_know_their_length_and_run_beside_themselves():
    path = Path.through(np.array([[0.0, 0.0], [30.0, 40.0]]))
    assert path.length == pytest.approx(50)
    np.testing.assert_allclose(path.at(25)[:2], (15, 20))
    assert path.at(25)[2] == pytest.approx(np.arctan2(40, 30))
    # To the right of (3, 4)/5, with y down, is (-4, 3)/5.
    np.testing.assert_allclose(path.offset(10).points[0], (-8, 6))
    # Marks begin every 10 + 10 units: at 0, 20 and 40 is no room for another whole one.
    assert [piece.length for piece in path.dashes(10, 10)] == pytest.approx([10, 10])
    np.testing.assert_allclose(path.band(10)[0].mean(axis=0), (15, 20))


def test_a_smooth_path_goes_through_its_controls():
    controls = np.array([[0.0, 0.0], [10.0, 5.0], [20.0, -5.0]])
    path = Path.smooth(controls, 8)
    for point in controls:
        assert np.min(np.hypot(*(path.points - point).T)) < 1e-9


def test_disc_has_its_radius():
    np.testing.assert_allclose(np.hypot(*disc(7.0).T), 7)


@pytest.mark.parametrize(("cells", "side"), [(8, 256), (64, 256), (100, 256), (256, 256), (256, 64)])
def test_noise_has_mean_0_and_deviation_1(cells, side):
    fields = [smooth_noise(np.random.default_rng(seed), cells, side) for seed in range(40)]
    # Shares of the wave numbers differ by grid: the constants hold to about a tenth.
    assert np.std(fields) == pytest.approx(1, abs=0.15)
    assert abs(np.mean(fields)) < 0.1


def test_octaves_are_scaled_back():
    fields = [octaves(np.random.default_rng(seed), (8, 32, 64), 128, (3, 2, 1)) for seed in range(40)]
    assert np.std(fields) == pytest.approx(1, abs=0.15)


def test_every_material_has_a_class():
    assert set(SURFACES) == set(Material)
