"""From a viewer's words to the names that perception gives: "motorbike" is a motorcycle, "rocket" fits "missile".

Things have the detector's names, pictures those of an image classifier. A word fits a name by how the
name, its synonyms and its dictionary definition use it; sentence vectors cannot tell a synonym from a
sibling (cat and dog lie as close as cat and kitten), so they are not asked here.
"""

from __future__ import annotations

import re
from functools import lru_cache

from reverie.reasoning.senses import Senses
from reverie.reasoning.vocabulary import (
    CATEGORIES,
    NARROWER_WORDS,
    OBJECT_WORDS,
    STOPWORDS,
    content_words,
    listed,
    stem,
    words,
)

# How well a word fits a name, by where it stands.
EXACT, HEAD, NARROWER, MODIFIER, GENUS, DEFINITION = 1.0, 0.9, 0.6, 0.45, 0.8, 0.35
MOST_LIKELY = 0.85  # of all who are a person, most are asked for as a man or woman
QUALIFIED = 0.85  # what is left of a fit for each further word of the cue
_GENUS_ENDS = re.compile(
    r"\b(?:with|having|that|which|used|for|of|in|on|from|to|by|worn|consisting|made|where|when|as|at|native|found|\w+ing|\w{3,}ed)\b|[;,(]"
)


_COMPOUND = re.compile(r"\w+(?:-\w+)+")  # "coin-operated" is no coin
_QUALIFIERS = re.compile(
    r"\b(?:in|with|on|at|of|near|under|behind|beside|from|to|by|who|that|which|for|into|over|through|between)\b"
)


class NameBook:
    """The names one profile can give, and how well words fit them."""

    def __init__(self, senses: Senses) -> None:
        self._meanings = dict(senses.class_meanings)
        self._by_word: dict[str, tuple[str, float]] = {}
        self._places: dict[str, dict[str, float]] = {}
        self._has_class: dict[str, bool] = {}
        self._wholes = {_key(name) for name in senses.object_names if " " in name}
        for name, meaning in self._meanings.items():
            self._wholes |= {key for key in _lemma_keys(name, meaning) if " " in key}
        for name in senses.object_names:
            for word in (name, *OBJECT_WORDS.get(name, "").split()):
                self._by_word.setdefault(_key(word), (name, EXACT))
            for word in NARROWER_WORDS.get(name, "").split():
                self._by_word.setdefault(_key(word), (name, MOST_LIKELY if name == "person" else NARROWER))
        self.fit = lru_cache(maxsize=20000)(self._fit)

    def objects(self, cue: str, names: tuple[str, ...] = ()) -> dict[str, float]:
        """The detector's names for what a cue names, each with its fit: one thing, or a category ("animal").

        "brown teddy bear" finds the longest name in it, at its end. What the other words say of it cannot
        be seen, so each lowers the fit; proper names and numbers, given as `names`, weigh as three.
        """
        head, rest = head_phrase(cue)
        found = content_words(head)
        for size in range(min(3, len(found)), 0, -1):
            for start in range(len(found) - size, -1, -1):
                if not _is_head(found, start + size):
                    continue
                known = self._by_word.get(_key(" ".join(found[start : start + size])))
                if known is not None:
                    others = [*found[:start], *found[start + size :], *rest]
                    extra = sum(3 if word in names else 1 for word in others)
                    return {known[0]: known[1] * QUALIFIED**extra}
                modifies = any(_key(word) in self._by_word for word in found[:start])  # "cat food" is no food seen
                if size == 1 and not modifies and (category := category_of(found[start])):
                    members = CATEGORIES[category].split("|")
                    return {name: EXACT for name in members if (name, EXACT) in self._by_word.values()}
        return {}

    def has_class(self, thing: str) -> bool:
        """Whether the picture classifier knows a thing of the detector, so that a picture could support it."""
        if thing not in self._has_class:
            self._has_class[thing] = any(self.fit(thing, name) >= GENUS for name in self._meanings)
        return self._has_class[thing]

    def _fit(self, cue: str, name: str) -> float:
        """How well a cue fits a name of a picture class, in [0, 1].

        The fit of its head ("cup" in "white cup of coffee"), or of what follows "of", lowered by each other word that
        the name does not know. A cue that is a name of its own ("hot dog") fits no other by its parts.
        """
        head, rest = head_phrase(cue)
        wanted = [stem(word) for word in content_words(cue)]
        if not wanted:
            return 0.0
        meaning = self._meanings.get(name, "")
        whole = " ".join(wanted)
        if whole in self._wholes:
            return EXACT if whole in _lemma_keys(name, meaning) else 0.0
        if name not in self._places:
            self._places[name] = word_places(name, meaning)
        places = self._places[name]
        best = places.get(stem(content_words(head)[-1]), 0.0)
        if rest and " of " in cue:
            best = max(best, QUALIFIED * places.get(stem(rest[-1]), 0.0))
        unknown = sum(word not in places for word in wanted)
        return best * QUALIFIED**unknown


def head_phrase(cue: str) -> tuple[str, list[str]]:
    """What a cue is about, and the content words of what it says of that: "man", ["car"] for "man in a car"."""
    parts = _QUALIFIERS.split(cue, maxsplit=1)
    if len(parts) == 2 and any(word not in STOPWORDS for word in words(parts[0])):
        return parts[0], [word for word in words(parts[1]) if word not in STOPWORDS]
    return cue, []


def word_places(name: str, meaning: str) -> dict[str, float]:
    """Stems in a class name and its "synonyms: definition", each with how well it fits the class."""
    lemmas, _, definition = meaning.partition(":")
    definition = _COMPOUND.sub(" ", definition)
    places: dict[str, float] = {}

    def put(word: str, fit: float) -> None:
        key = stem(word)
        places[key] = max(places.get(key, 0.0), fit)

    for lemma in (name, *(part.strip() for part in lemmas.split(",") if part.strip())):
        parts = content_words(lemma)
        for word in parts[:-1]:
            put(word, MODIFIER)
        if parts:
            put(parts[-1], EXACT if len(parts) == 1 else HEAD)
    genus = _GENUS_ENDS.split(definition.strip(), maxsplit=1)[0]
    genus_words = content_words(genus) if genus.strip() else []
    for word in content_words(definition) if definition.strip() else []:
        put(word, DEFINITION)
    for word in genus_words[-1:]:
        put(word, GENUS)
    return places


def _lemma_keys(name: str, meaning: str) -> set[str]:
    return {_key(lemma) for lemma in (name, *meaning.partition(":")[0].split(",")) if lemma.strip()}


def _key(text: str) -> str:
    return " ".join(stem(part) for part in text.replace("-", " ").split())


def category_of(word: str) -> str:
    """The singular of a category word ("animals" -> "animal")."""
    return next((name for name in CATEGORIES if stem(name) == stem(word)), "")


def _is_head(found: list[str], end: int) -> bool:
    """Whether the words up to `end` carry the cue: they stand last, or only a place or an act follows."""
    return end == len(found) or stem(found[end]) not in _COMPOUND_TAILS


# "cat food" is no cat, "bus stop" no bus.
_COMPOUND_TAILS = frozenset(
    stem(word)
    for word in listed(
        "food stop station ticket tickets house park driver shop door key keys seat wheel lane show race fish ride "
        "book toy statue picture painting port horn bell shelter hair track tracks litter collar"
    )
)
