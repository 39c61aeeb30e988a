"""What a profile can perceive, and what a question needs: a question beyond the senses is declined by name.

The pipeline fills `Senses` from the profile. `missing_sense` reads a question; it never looks at evidence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from reverie.reasoning.grammar import any_of
from reverie.reasoning.vocabulary import COLOURS, listed
from reverie.types import Modality

# A sense that a question may need beyond the five modalities, as it is named in an answer.
BEYOND = {
    "identity": "who somebody is (faces and voices have no names)",
    "colour": "the colour of a single thing (only the dominant colours of the whole picture)",
    "action": "actions, that is, what somebody or something is doing",
    "emotion": "feelings and moods",
    "attribute": "details of a person or thing, such as clothing, age, brand or breed",
    "motion": "directions and speeds",
    "relation": "how things are placed to each other",
    "reason": "reasons and intentions",
    "sound": "sounds other than speech, singing, music and those it was taught",
    "body": "smell, taste, touch, warmth or weight",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Senses:
    """What one profile perceives.

    `missing` maps each sense of `BEYOND` that the profile lacks to the profile that has it, or to ""
    when none has. `object_names` are the detector's classes; `class_meanings` maps the name of a
    picture class to its synonyms and definition, "tabby, tabby cat: a cat with a grey or tawny coat".
    """

    profile: str
    modalities: tuple[Modality, ...] = tuple(Modality)
    perceives: tuple[str, ...] = ()
    object_names: tuple[str, ...] = ()
    class_meanings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    missing: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def explain_missing(self, sense: str) -> str:
        """One sentence that declines a question by the sense that it needs."""
        what, other = BEYOND[sense], self.missing.get(sense, "")
        if sense in _OUT_OF_REACH:
            return f"No profile of reverie perceives {what}, so this cannot be answered."
        cannot = f"The '{self.profile}' profile cannot tell {what}"
        if other:
            return f"{cannot}; that takes the '{other}' profile."
        return (
            f"{cannot}; that takes {_TAKES.get(sense, 'a vision-language model')}, which no profile of reverie has yet."
        )


_OUT_OF_REACH = ("body",)  # no camera or microphone brings it
_TAKES = {"sound": "a sound classifier"}
EMBEDDED_MISSING: Mapping[str, str] = MappingProxyType(dict.fromkeys(BEYOND, ""))

_ACTIONS = any_of(
    "run walk jump danc eat drink cook driv rid sleep fight throw swim climb kick hug kiss wash clean push pull lift "
    "carry hold catch chas fly shak nod wav sit stand fall cry laugh smil read typ juggl stretch"
)
_TUNE = r"(?: music| a? ?(?:song|tune|melody))"
_ING = rf"\b{_ACTIONS}(?:n|p|t|m)?ing\b|(?<!music )(?<!song )(?<!tune )\bplaying\b(?!{_TUNE})"
_THING = any_of(
    "person man woman boy girl child kid guy people he she they somebody someone dog cat animal driver rider"
)
_WHICH = "(?:which|what)"


def _word(entries: str) -> str:
    return rf"\b{any_of(entries)}\b"


# (sense, patterns over the plain lower-case question). The first that matches names the sense.
_NEEDS = tuple(
    (sense, re.compile("|".join(patterns)))
    for sense, patterns in (
        ("body", (_word("smell taste scent odou?r temperature warm(?:er)? how_(?:hot|cold|heavy) weigh[st]?"),)),
        (
            "emotion",
            (
                _word("happy sad angry scared afraid upset mood emotions? nervous bored excited worried surprised"),
                _word("cheerful smil(?:e|es|ed|ing) laugh(?:s|ed|ing)? cry(?:ing)? cried feel(?:s|ings?)? felt"),
            ),
        ),
        (
            "reason",
            (
                _word("thinking plann?ing intend(?:s|ed|ing)? on_purpose"),
                rf"^where (?:is|was|are|were) .*{_THING}.* (?:going|heading|headed|travelling)\b",
                r"^(?:so )?why\b",
                r"\bhow come\b",
                r"\bfor what reason\b",
            ),
        ),
        (
            "motion",
            (
                rf"\b{_WHICH} (?:direction|way|speed)\b",
                _word("how_fast speed speeding left_to_right right_to_left moving turn(?:ed|s|ing)?_(?:left|right)"),
                r"\bmoved? (?:towards?|away|left|right|up|down)\b",
            ),
        ),
        (
            "sound",
            (
                _word("bark(?:ing|s|ed)? meow(?:ing|s|ed)? applause clapping gun_?shots? sirens? doorbell explosion"),
                _word("footsteps thunder alarm (?:bell|phone)_ring(?:ing)? honk(?:ing|ed)? noises? whistl(?:e|es|ing)"),
                _word("scream(?:s|ed|ing)? knock(?:ing|s)? glass_break(?:ing)?"),
            ),
        ),
        (
            "identity",
            (
                r"^(?:who|whose|whom)\b",
                rf"\b{_WHICH} (?:person|speaker|man|woman|actor|singer|people)\b",
                r"\b(?:name|identity) of the (?:man|woman|person|speaker|boy|girl|actor|singer)\b",
                r"\bwhose voice\b",
                r"\bsame (?:person|man|woman|speaker|voice)\b",
                r"\brecogni[sz]e (?:the|that|this|him|her)\b",
            ),
        ),
        (
            "attribute",
            (
                _word("wear(?:s|ing)? wore dressed clothes clothing outfit hair beard glasses_on how_old how_tall"),
                _word(
                    "how_(?:big|large|small)_(?:is|was) age_of what_age breed brand logo (?:licen[cs]e|number)_plate"
                ),
                _word("what_(?:make|model)_of material made_of tattoo male_or_female gender man_or_(?:a_)?woman"),
            ),
        ),
        (
            "relation",
            (
                _word("on_top_of underneath (?:next_to|beside|behind|in_front_of|under)_the"),
                _word("(?:holding|carrying)_(?:a|the)"),
            ),
        ),
        (
            "action",
            (
                _ING,
                r"\bdoing\b",
                rf"\bwhat (?:do|does|did|is|was|were) (?:the |that |this |a )?{_THING} do\b",
                rf"\b{_WHICH} (?:action|activity|activities|gesture|sport)\b",
                rf"^(?:did|does|do|is|was) (?:the|that|this|a|any)?\s?{_THING} {_ACTIONS}(?:e|p|n)?\b",
            ),
        ),
        ("colour", (rf"\b{_WHICH} colou?rs?\b", r"\bcolou?rs? (?:of|is|was|are|were|did|does)\b")),
    )
)
_PICTURE_COLOUR = re.compile(
    r"colou?rs?.*\b(?:picture|image|screen|scene|background|frame|dominant|video|overall|mostly|main)\b"
    r"|\b(?:dominant|main|overall|prevailing) colou?rs?\b"
)
_COLOURED = re.compile(rf"\b({'|'.join(sorted(COLOURS))})(?: and \w+)?[- ](?:colou?red )?(\w+)")
_COLOUR_QUESTION = re.compile(
    rf"\b(?:is|was|are|were) (?:the|a|an|that|this|his|her) [\w ]+? ({'|'.join(sorted(COLOURS))})\b"
)


def missing_sense(text: str, senses: Senses) -> str:
    """The sense of `BEYOND` that a plain lower-case question needs and the profile lacks, or ""."""
    for sense, pattern in _NEEDS:
        if sense in senses.missing and pattern.search(text):
            if sense == "colour" and _PICTURE_COLOUR.search(text):
                continue
            return sense
    return "colour" if "colour" in senses.missing and coloured_thing(text, senses) else ""


def asks_picture_colour(text: str) -> bool:
    """Whether a plain lower-case question is about the colours of the whole picture."""
    return bool(_PICTURE_COLOUR.search(text))


def coloured_thing(text: str, senses: Senses) -> str:
    """The thing in "a red car", unless the two words are a name of their own ("red fox", "black bear")."""
    known = " | ".join(
        (*senses.object_names, *senses.class_meanings.keys(), *senses.class_meanings.values())
    ).casefold()
    if match := _COLOUR_QUESTION.search(text):
        return match[1] if not _PICTURE_COLOUR.search("colour " + text) else ""
    for match in _COLOURED.finditer(text):
        if f"{match[1]} {match[2]}" not in known and match[2] not in _NO_THINGS:
            return match[2]
    return ""


# After a colour, these name the whole picture, or go on with the sentence.
_NO_THINGS = frozenset(
    listed("picture image screen scene background frame or and in on at before after first come came appear be")
)
