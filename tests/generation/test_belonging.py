"""Pictures of the world are told from photographs, by the autoencoder that ships and by one that has learnt nothing."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from reverie.generation.belonging import LIMIT, Belonging
from reverie.generation.world import Place, wander

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "coins", "gravel", "rocket", "retina")


def small(image):
    return np.asarray(ImageOps.fit(image.convert("RGB"), (32, 32), Image.Resampling.BOX))


def kept(frame):
    """As a memory keeps it."""
    data = io.BytesIO()
    Image.fromarray(frame.repeat(8, axis=0).repeat(8, axis=1)).save(data, "JPEG", quality=85)
    return small(Image.open(data))


@pytest.fixture(scope="module", params=["shipped", "untrained"])
def belonging(request):
    import torch

    from reverie.generation import checkpoint
    from reverie.generation.world_model import WorldModel, WorldModelConfig

    if request.param == "shipped":
        return Belonging(checkpoint.load(checkpoint.SHIPPED))
    torch.manual_seed(0)
    return Belonging(WorldModel(WorldModelConfig(vae_channels=(16, 16, 16), unet_channels=(32, 32))).eval())


def test_films_of_the_world_belong_to_it(belonging):
    random = np.random.default_rng(1)
    for seed in range(12):
        film = Place(seed).film(wander(random, 40)).frames[::10]
        assert belonging.distance(film) < LIMIT
        assert belonging.distance(np.stack([kept(frame) for frame in film])) < LIMIT


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_do_not(belonging, name):
    data = pytest.importorskip("skimage.data")
    assert belonging.distance(small(Image.fromarray(getattr(data, name)()))[None]) > LIMIT
