import numpy as np
import pytest

from reverie.generation.shapes import COLOURS, SHAPES, TERRAINS
from reverie.generation.world import MAP_PX, MOVES, VIEW_PX, Action, Hero, Place, out_and_back, wander


@pytest.mark.parametrize("seed", range(12))
def test_flow_is_exact_where_a_surface_is_seen_in_both_frames(seed):
    place = Place(seed)
    film = place.film(wander(np.random.default_rng(seed), 40))
    y, x = np.mgrid[:VIEW_PX, :VIEW_PX]
    for now, then, flow, visible in zip(film.frames, film.frames[1:], film.flow, film.visible, strict=False):
        to_y, to_x = (y + flow[..., 1]).astype(int)[visible], (x + flow[..., 0]).astype(int)[visible]
        assert np.array_equal(then[to_y, to_x], now[visible])
        assert visible.mean() > 0.6


def test_a_place_seen_again_looks_the_same_but_for_the_hero():
    place = Place(3)
    film = place.film(out_and_back(Action.UP, 20))
    assert np.array_equal(film.camera[0], film.camera[-1])
    far = np.ones((VIEW_PX, VIEW_PX), bool)
    for centre in (film.hero[0], film.hero[-1]):
        far[centre[0] - 4 : centre[0] + 5, centre[1] - 4 : centre[1] + 5] = False
    assert np.array_equal(film.frames[0][far], film.frames[-1][far])


def test_the_map_is_a_torus():
    place = Place(5)
    steps = MAP_PX // MOVES[Action.RIGHT][1]
    film = place.film([Action.RIGHT] * steps, start=(10, 7))
    still = place.film([], start=(10, 7), first_frame=steps)
    assert np.array_equal(film.frames[-1], still.frames[0])


def test_a_film_can_be_gone_on_with():
    place = Place(6)
    actions = wander(np.random.default_rng(0), 30)
    whole = place.film(actions)
    rest = place.film(actions[12:], start=tuple(whole.camera[12]), first_frame=12)
    assert np.array_equal(whole.frames[12:], rest.frames)


def test_a_seed_says_all_and_what_is_given_wins():
    assert np.array_equal(Place(9).map, Place(9).map)
    given = Place(9, hero=Hero(colour="red", shape="ring"), terrain="snow")
    assert given.prompt == "a red ring over snow"
    assert not np.array_equal(Place(9).map, Place(10).map)


def test_the_hero_never_leaves_the_view_and_moves_a_pixel_a_frame():
    for seed in range(20):
        hero = Place(seed).film([Action.STAY] * 200).hero
        assert hero.min() >= 4
        assert hero.max() <= VIEW_PX - 5
        assert (np.abs(np.diff(hero, axis=0)) == 1).all()


@pytest.mark.parametrize("terrain", TERRAINS)
def test_heroes_can_be_told_apart_on_every_terrain(terrain):
    looks = [
        Place(1, Hero(colour=colour, shape=shape), terrain).film([]).frames[0].astype(float)
        for colour in COLOURS
        for shape in SHAPES
    ]
    apart = [np.abs(a - b).max() for i, a in enumerate(looks) for b in looks[:i]]
    assert min(apart) > 20
