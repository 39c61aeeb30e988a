"""The phrases that facts are made of: noun phrases, places, times, names, and words that make a sentence no fact.

All tests are strict on purpose. A fact that is missed costs a search through the texts, which stay; a wrong one
would be given as an answer.
"""

from __future__ import annotations

import re


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NUMBER_WORDS = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million oh"
)
_DAYS = _listed("monday tuesday wednesday thursday friday saturday sunday today tomorrow tonight")
_MONTHS = _listed("january february march april may june july august september october november december")
COLOURS = frozenset(
    _listed("red green blue yellow orange purple violet pink brown black white grey gray silver gold beige turquoise")
)

# Negation, questions, what is only possible or wished, what others say, what was and is no more.
NOT_A_STATEMENT = re.compile(
    r"\b(?:not|never|no|nor|neither|none|nobody|nothing|without|hardly|\w+n't|dont|isnt|cannot"
    r"|if|unless|whether|would|could|should|might|can|maybe|perhaps|possibly|probably|likely|hopefully|supposed"
    r"|suppose|assume|imagine|imagined|pretend|wish|want|wants|hope|hoping|let's|lets|thinking of|almost|nearly"
    r"|said|says|say|saying|told|tells|tell me|heard|hear that|claims?|claimed|apparently|allegedly|reportedly"
    r"|according|rumou?rs?|think|thought|thinks|guess|believe|believed|believes|seems?|sounds like|looks like|wonder"
    r"|doubt|dream(?:ed|t)?|used to|once|formerly|previously|back then|last (?:week|month|year)|ago|yesterday|joke"
    r"|kidding|(?<!\d )(?<!st )(?<!nd )(?<!rd )(?<!th )(?<!of )may(?! \d))\b",  # 3 May is a date
    re.IGNORECASE,
)
_AUXILIARY = "is|are|was|were|do|does|did|has|have|had|can|could|will|would|should"
QUESTION = re.compile(
    rf"\s*(?:(?:what|where|when|who|whose|which|why|how|{_AUXILIARY})\b(?!\s+(?:a|an)\b)|.*\?\s*$)",
    re.IGNORECASE | re.DOTALL,
)

_DETERMINERS = frozenset(_listed("the my our your this that a an"))
_VAGUE = frozenset(_listed("a an"))
# Words that no noun phrase of ours holds: pronouns, verbs, adverbs, conjunctions, most prepositions.
_NOT_IN_PHRASE = frozenset(
    _listed(
        """
i me you he him she her hers it its we us they them their his who what which where when why how there here everyone
everybody everything someone somebody something anyone anything one ones all both each most some any many much few
is are was were am be been being do does did done have has had having will shall get gets got go goes going gone
make makes made take takes took come comes came see saw know knew want like love feel felt mean means
and or but because so as than then though although while since until till after before just really very too also
still always often only even ever again now actually definitely basically to from with about into over through up
down off out by if that's it's i'm i've we're we've you're he's she's they're there's what's here's let's
yes yeah no okay ok oh hey wow thanks thank please sorry hi hello well
"""
    )
)
_NOT_A_PLACE = frozenset(
    _listed(
        """
love trouble danger charge fact case way general progress session order need hurry time middle process mood shape
line touch control doubt favor favour terms total part particular common advance detail person past future present
meantime morning afternoon evening night day week weekend month year moment end beginning start same risk ease peace
rest best least first last once times pain shock tears awe heart mind zone air works world life position situation
sense lead loose move run go verge brink point side spot spotlight right left pipeline horizon spirit journey path
track way road bit lot kind sort level step chapter phase stage season summer winter spring autumn fall works making
offing know loop dark rush panic state form event addition effect regard respect response return turn search support
hope vain while war theme topic subject edge dream dreams family group team community budget market ratio diet
schedule vacation holiday plan list fence sale roll page hunt
"""
    )
)
_PRONOUN_START = re.compile(
    r"(?:his|her|their|its|him|them|it|he|she|they|us|me|what|which|who|where|how)\b", re.IGNORECASE
)
_NAME = re.compile(r"[A-Z][\w'’.&-]*(?: (?:of|the|de|van|von|&|and)? ?[A-Z0-9][\w'’.&-]*){0,3}")
_NOT_NAMES = frozenset(
    _listed(
        """
the this that these those my our your his her their its it i we you he she they there here what who how when where
everyone everything someone nothing today tomorrow yesterday life love being and but so or yes no well also then now
most some all one having doing getting english german french spanish american everybody nobody it's christmas
"""
    )
)

_PREPOSITION = (
    r"(?:in front of|on top of|next to|across from|on|in|at|under|underneath|behind|inside|outside|beside|near|above"
    r"|below|by|between|against)"
)
_BARE_PLACES = ("home", "at home", "upstairs", "downstairs", "outside")
_PLACE = re.compile(rf"(?:right |just |still |now |back |over )?(?P<place>{_PREPOSITION} .+|{'|'.join(_BARE_PLACES)})")
_HOURS, _MONTH = "|".join(_NUMBER_WORDS[1:13]), "|".join(_MONTHS)
_CLOCK = (
    r"(?:\d{1,2}(?:[:.]\d{2})? ?(?:am|pm|a\.m\.|p\.m\.|a\.m|p\.m|o'clock)?(?!\d)|noon|midnight"
    rf"|(?:half past|quarter past|quarter to|ten past|ten to) (?:\d{{1,2}}|{_HOURS})"
    rf"|(?:{_HOURS})(?: (?:thirty|fifteen|forty-five|forty five|ten|twenty))?(?: ?(?:am|pm|o'clock))?)"
)
_DAY = (
    rf"(?:(?:next |this )?(?:{'|'.join(_DAYS)})s?(?: (?:morning|afternoon|evening|night))?"
    rf"|(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{_MONTH})(?:,? \d{{4}})?"
    rf"|(?:{_MONTH}) \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?|the \d{{1,2}}(?:st|nd|rd|th)|next (?:week|month|year))"
)
MOMENT = re.compile(rf"(?:(?:at |on |for )?(?:{_DAY}|{_CLOCK})(?:,? (?:at |on )?(?:{_DAY}|{_CLOCK}))?)", re.IGNORECASE)
_SPELT = rf"(?:{'|'.join(_NUMBER_WORDS)})"
AMOUNT = re.compile(
    rf"(?:about |around |exactly |only )?(?:[$€£]\s?)?(?:\d[\d.,]*|{_SPELT}(?:[ -]{_SPELT})*)"
    r"(?:\s?[%$€£]|\s?[a-z]+)?(?: (?:per|a|an|each) ?\w*)?",
    re.IGNORECASE,
)
CODE = re.compile(rf"(?:(?=\S*\d)[\w#*+./:-]+(?:[ -]\d[\w-]*)*|{_SPELT}(?:[ -]{_SPELT})+)", re.IGNORECASE)


def words_of(phrase: str) -> list[str]:
    """Lower-case words, punctuation at their ends removed."""
    return [word.strip(".,;:!?\"'") for word in phrase.lower().split()]


def is_subject(phrase: str, *, vague: bool = False) -> bool:
    """A thing that a fact can be about: "the red box", "Anna"; not "it", "life" or, unless `vague`, "a box"."""
    head, joint, rest = _joined(phrase)
    if joint and not (is_subject(head, vague=vague) and is_ground(rest)):
        return False
    words = words_of(head)
    if not 1 <= len(words) <= 5 or not set(words).isdisjoint(_NOT_IN_PHRASE):
        return False
    if words[0] in _VAGUE:
        return vague and len(words) > 1
    if words[0] in _DETERMINERS:
        return len(words) > 1
    return is_name(head)


def _joined(phrase: str) -> tuple[str, str, str]:
    """Part "the train to Berlin" is two phrases and what joins them."""
    match = re.search(r" (?:of|to|for|from|in|on) ", phrase)
    return (phrase[: match.start()], match[0], phrase[match.end() :]) if match else (phrase, "", "")


def is_name(phrase: str) -> bool:
    """A proper name by its capitals; one with a small letter is none."""
    return _NAME.fullmatch(phrase) is not None and words_of(phrase)[0] not in _NOT_NAMES


def is_noun_phrase(phrase: str) -> bool:
    """Up to five words without a verb or a pronoun."""
    words = words_of(phrase)
    return 1 <= len(words) <= 5 and set(words).isdisjoint(_NOT_IN_PHRASE)


def place_of(phrase: str) -> str | None:
    """A place with its preposition ("in the kitchen", "on top of the fridge", "at home"); None if it is none."""
    match = _PLACE.fullmatch(phrase)
    if match is None:
        return None
    place = match["place"]
    if place in _BARE_PLACES:
        return place
    return place if is_ground(re.sub(rf"^{_PREPOSITION} ", "", place)) else None


def is_ground(phrase: str) -> bool:
    """What something can be in or at: with a determiner, numbered, or a name; not "a hurry", "the end", "March"."""
    words = words_of(phrase)
    if not 1 <= len(words) <= 7 or _PRONOUN_START.match(phrase) or MOMENT.fullmatch(phrase):
        return False
    inner = [word for word in words if word not in ("of", "to", "by", "from", "with", "and", "one", "for", "in", "on")]
    if not set(inner).isdisjoint(_NOT_IN_PHRASE) or any(word.endswith("ing") and len(word) > 6 for word in words[:-1]):
        return False
    head = re.split(r" (?:of|by|from|to|with|and|for|in|on) ", phrase)[0].split()[-1].lower()
    if (
        "ratio" in words
        or head in _NOT_A_PLACE
        or re.fullmatch(r"\d+s", head)
        or words[0] in ("season", "episode", "page", "chapter")
        or words[-1] in _MONTHS + _DAYS
    ):
        return False
    if words[0] in _DETERMINERS:
        return len(words) > 1
    return is_name(phrase) or any(word.isdigit() for word in words[1:]) or words[-1] in ("home", "school", "work")
