import pytest

from reverie.errors import NotPerceivable, UsageError
from reverie.generation.prompts import NUM_TOKENS, PromptEncoder, tokens_of
from reverie.generation.world import Place


def test_every_place_has_a_prompt_that_is_known_and_its_own():
    prompts = {Place(seed).prompt for seed in range(300)}
    assert len({tuple(tokens_of(prompt)) for prompt in prompts}) == len(prompts)
    assert all(len(tokens_of(prompt)) == NUM_TOKENS for prompt in prompts)


def test_case_and_punctuation_do_not_count():
    assert tokens_of("A red circle, over GRASS!") == tokens_of("a red circle over grass")


def test_a_real_scene_is_refused_with_what_is_known_and_what_is_needed():
    with pytest.raises(NotPerceivable, match=r"without 'kitchen', 'morning'.*red.*circle.*grass.*large model"):
        tokens_of("the kitchen this morning")


def test_too_many_words_are_refused():
    with pytest.raises(UsageError, match="9 words, and 8 fit"):
        tokens_of("a red circle over grass and a blue ring")


def test_the_order_of_words_counts():
    encoder = PromptEncoder(32)
    one, other = encoder(["a red circle"]), encoder(["a circle red"])
    assert one.shape == (1, NUM_TOKENS, 32)
    assert not one.allclose(other)
