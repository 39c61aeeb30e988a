"""What a profile can perceive, and what a question needs: a question beyond the senses is declined by name.

The pipeline fills `Senses` from the profile. `missing_sense` reads a question; it never looks at evidence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

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
    "sound": "sounds other than speech, singing and music",
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
        if not other:
            return f"No profile of reverie perceives {what}, so this cannot be answered."
        return (
            f"This needs the '{other}' profile (a vision-language model); "
            f"the '{self.profile}' profile cannot tell {what}."
        )


EMBEDDED_MISSING: Mapping[str, str] = MappingProxyType(
    {sense: "" if sense == "body" else "standard" for sense in BEYOND}
)

_ACTIONS = listed(
    "run walk jump danc eat drink cook driv rid sleep fight throw swim climb kick hug kiss wash clean push pull lift "
    "carry hold catch chas fly shak nod wav sit stand fall cry laugh smil read typ juggl stretch"
)
_ING = (
    r"\b(?:" + "|".join(_ACTIONS) + r")(?:n|p|t|m)?ing\b"
    r"|\bplaying\b(?! music| a? ?(?:song|tune|melody))(?<!music playing)(?<!song playing)(?<!tune playing)"
)
_THING = r"(?:person|man|woman|boy|girl|child|kid|guy|people|he|she|they|somebody|someone|dog|cat|animal|driver|rider)"

# (sense, pattern over the plain lower-case question). The first that matches names the sense.
_NEEDS = tuple(
    (sense, re.compile(pattern))
    for sense, pattern in (
        ("body", r"\b(?:smell|taste|scent|odou?r|temperature|warm(?:er)?|how (?:hot|cold|heavy)|weigh[st]?)\b"),
        ("emotion", r"\b(?:happy|sad|angry|scared|afraid|upset|mood|emotions?|feelings?|nervous|bored|excited|worried"
                    r"|surprised|cheerful|smil(?:e|es|ed|ing)|laugh(?:s|ed|ing)?|cry(?:ing)?|cried|feel(?:s|ing)?|felt)\b"),
        ("reason", r"^(?:so )?why\b|\bhow come\b|\bfor what reason\b"),
        ("motion", r"\b(?:which|what) (?:direction|way|speed)\b|\b(?:how fast|speeding|left to right|right to left"
                   r"|speed|moving|moved? (?:towards?|away|left|right|up|down))\b|\bturn(?:ed|s|ing)? (?:left|right)\b"),
        ("sound", r"\b(?:bark(?:ing|s|ed)?|meow(?:ing|s|ed)?|applause|clapping|gunshots?|gun shots?|sirens?|doorbell"
                  r"|bell ring(?:ing)?|explosion|footsteps|thunder|alarm|phone ring(?:ing)?|honk(?:ing|ed)?|noises?"
                  r"|whistl(?:e|es|ing)|scream(?:s|ed|ing)?|knock(?:ing|s)?|glass break(?:ing)?)\b"),
        ("identity", r"^(?:who|whose|whom)\b|\b(?:which|what) (?:person|speaker|man|woman|actor|singer|people)\b"
                     r"|\b(?:name|identity) of the (?:man|woman|person|speaker|boy|girl|actor|singer)\b|\bwhose voice\b"
                     r"|\bsame (?:person|man|woman|speaker|voice)\b|\brecogni[sz]e (?:the|that|this|him|her)\b"),
        ("attribute", r"\b(?:wear(?:s|ing)?|wore|dressed|clothes|clothing|outfit|hair|beard|glasses on|how old|how tall"
                      r"|how (?:big|large|small) (?:is|was)|age of|what age|breed|brand|logo|licen[cs]e plate"
                      r"|number plate|what (?:make|model) of|material|made of|tattoo|male or female|man or (?:a )?woman|gender)\b"),
        ("relation", r"\b(?:on top of|underneath|next to the|beside the|behind the|in front of the"
                     r"|under the|holding (?:a|the|in)|carrying (?:a|the))\b"),
        ("action", rf"{_ING}|\bdoing\b|\bwhat (?:do|does|did|is|was|were) (?:the |that |this |a )?{_THING} do\b"
                   rf"|\b(?:what|which) (?:action|activity|activities|gesture|sport)\b"
                   rf"|^(?:did|does|do|is|was) (?:the|that|this|a|any)?\s?{_THING}"
                   rf" (?:{'|'.join(_ACTIONS)})(?:e|p|n)?\b"),
        ("colour", r"\b(?:what|which) colou?rs?\b|\bcolou?rs? (?:of|is|was|are|were|did|does)\b"),
    )
)  # fmt: skip
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


def coloured_thing(text: str, senses: Senses) -> str:
    """The thing in "a red car", unless the two words are a name of their own ("red fox", "black bear")."""
    known = " | ".join(
        (*senses.object_names, *senses.class_meanings.keys(), *senses.class_meanings.values())
    ).casefold()
    if match := _COLOUR_QUESTION.search(text):
        return match[1] if not _PICTURE_COLOUR.search("colour " + text) else ""
    for match in _COLOURED.finditer(text):
        phrase = f"{match[1]} {match[2]}"
        picture_wide = match[2] in ("picture", "image", "screen", "scene", "background", "frame")
        linking = match[2] in (
            "or",
            "and",
            "in",
            "on",
            "at",
            "before",
            "after",
            "first",
            "come",
            "came",
            "appear",
            "be",
        )
        if phrase not in known and not picture_wide and not linking:
            return match[2]
    return ""
