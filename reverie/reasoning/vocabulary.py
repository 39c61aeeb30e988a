"""The words that reasoning knows: how to cut, compare and group English words. No model, no state.

`stem` is a light suffix stripper (after Porter 1980, steps 1a to 1c): enough to match "leaves" with
"leaving". Number words become digits, because recognisers write both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache


def listed(text: str) -> tuple[str, ...]:
    """The words of a list that is written as one string."""
    return tuple(text.split())


NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        listed(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen twenty"
        )
    )
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100"}

IRREGULAR = {
    "people": "person", "persons": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse",
    "feet": "foot", "teeth": "tooth", "geese": "goose", "leaves": "leave", "left": "leave", "went": "go",
    "gone": "go", "said": "say", "told": "tell", "bought": "buy", "saw": "see", "seen": "see", "came": "come",
    "took": "take", "made": "make", "knives": "knife", "began": "begin", "begun": "begin", "kept": "keep",
    "found": "find", "lost": "lose", "met": "meet", "sold": "sell", "won": "win", "wrote": "write", "paid": "pay",
}  # fmt: skip

STOPWORDS = frozenset(
    listed(
        """a an the this that these those some any each every all both either neither no not and or but if then than so
        as at by for from in into of off on onto out over to up down with without within about upon per via
        i me my mine we us our ours you your yours he him his she her hers it its they them their theirs one ones
        someone somebody anyone anybody everyone everybody something anything everything nothing who whom whose which
        what when where why how there here am is are was were be been being do does did done doing have has had having
        can could will would shall should may might must just also too very really actually ever again please
        s t d ll re ve m o clip video stream footage recording film movie"""
    )
)

# Words of questions where the answer often has others, or none ("what is it called", "what is wrong with it").
LIGHT_WORDS = frozenset(
    listed(
        "need take call named come go get give make use find found happen start begin end cost stay live put "
        "keep like want look become leave left try help turn set show stand held hold close open wrong "
        "matter exactly called"
    )
)

# What text on screen stands on.
CARRIERS = frozenset(listed("sign screen slide banner label board poster caption title text notice signs captions"))

COLOURS = frozenset(
    listed("black white grey gray red orange yellow green blue purple violet pink brown golden silver beige turquoise")
)

# Words a viewer uses for the names of the COCO detector.
OBJECT_WORDS = {
    "person": "person people human somebody someone anyone anybody figure passer-by passerby pedestrian walker",
    "bicycle": "bicycle bike cycle pushbike",
    "car": "car automobile",
    "motorcycle": "motorcycle motorbike moped",
    "airplane": "airplane aeroplane plane aircraft airliner",
    "bus": "bus coach minibus",
    "train": "train locomotive tram",
    "truck": "truck lorry van pickup",
    "boat": "boat ship ferry",
    "traffic light": "traffic-light stoplight",
    "cat": "cat kitty pussycat",
    "dog": "dog doggy hound",
    "cow": "cow cattle",
    "backpack": "backpack rucksack knapsack",
    "handbag": "handbag purse",
    "suitcase": "suitcase luggage",
    "sports ball": "ball",
    "wine glass": "wineglass goblet",
    "cup": "cup mug teacup coffee-cup",
    "donut": "donut doughnut",
    "couch": "couch sofa settee",
    "potted plant": "potted-plant houseplant",
    "dining table": "dining-table table",
    "tv": "tv television monitor telly",
    "cell phone": "cell-phone cellphone mobile-phone smartphone phone mobile",
    "teddy bear": "teddy-bear teddy",
    "hair drier": "hair-drier hairdryer hair-dryer",
}
# Words that say more than the detector knows: a man is a person, but not every person is a man.
NARROWER_WORDS = {
    "person": "man woman boy girl child kid guy lady gentleman adult baby",
    "bicycle": "cyclist biker",
    "motorcycle": "motorcyclist",
    "car": "taxi cab suv hatchback sedan limousine",
    "boat": "sailboat yacht canoe",
    "bird": "pigeon sparrow seagull crow parrot duck",
    "cat": "kitten",
    "dog": "puppy poodle terrier",
    "horse": "pony foal mare stallion",
    "sheep": "lamb",
    "cow": "calf bull",
    "sports ball": "football basketball",
}
# Who is a person on something: seen where the two overlap.
RIDERS = frozenset(listed("cyclist cyclists biker bikers motorcyclist motorcyclists"))
# COCO's supercategories, for questions such as "which animal was seen".
CATEGORIES = {
    "vehicle": "bicycle|car|motorcycle|airplane|bus|train|truck|boat",
    "animal": "bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe",
    "pet": "cat|dog|bird",
    "food": "banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake",
    "fruit": "banana|apple|orange",
    "furniture": "chair|couch|potted plant|bed|dining table|toilet",
    "luggage": "backpack|handbag|suitcase",
}

_WORD = re.compile(r"\w+(?:[’'\-]\w+)*", re.UNICODE)


def plain(text: str) -> str:
    """One line of casefolded text with plain quotes and dashes, no control characters."""
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    text = "".join(" " if unicodedata.category(ch)[0] in "CZ" else ch for ch in text)
    return " ".join(text.casefold().split())


_PLAIN = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "…": " "})


def words(text: str) -> list[str]:
    """Words in order: casefolded, possessives dropped, hyphens split."""
    found = []
    for match in _WORD.findall(plain(text)):
        for part in match.split("-"):
            part = part.removesuffix("'s").strip("'_")
            if part:
                found.append(part)
    return found


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """The part of a word that its inflections share."""
    if word in NUMBERS:
        return NUMBERS[word]
    word = IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii():
        return word
    for suffix, keep in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("zes", "z")):
        if word.endswith(suffix):
            word = word[: -len(suffix)] + keep
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    for suffix in ("ing", "ed"):
        base = word.removesuffix(suffix)
        if base != word and len(base) >= 3 and re.search("[aeiouy]", base):
            word = base[:-1] if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz" else base
            break
    word = word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word
    return word.removesuffix("e") if len(word) > 3 else word


def content_words(text: str) -> list[str]:
    """The words that carry meaning; if there are none but function words, those."""
    found = words(text)
    return [word for word in found if word not in STOPWORDS] or found


def stems(text: str) -> list[str]:
    """The stems of all words, in order."""
    return [stem(word) for word in words(text)]


def same_word(a: str, b: str) -> bool:
    """Equal stems, or long words one or two letters apart: recognisers of speech and writing misspell."""
    if a == b:
        return True
    if min(len(a), len(b)) < 5 or abs(len(a) - len(b)) > 2 or a.isdigit() or b.isdigit() or a[0] != b[0]:
        return False
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= 0.82


def coverage(wanted: Iterable[str], text_stems: Iterable[str]) -> float:
    """The share of the wanted stems that a text has, in [0, 1]."""
    wanted, have = list(dict.fromkeys(wanted)), set(text_stems)
    if not wanted:
        return 0.0
    return sum(w in have or any(same_word(w, h) for h in have) for w in wanted) / len(wanted)


def occurrences(phrase: list[str], text_stems: list[str]) -> int:
    """How often the stems of a phrase stand one after the other in a text, not overlapping."""
    count = at = 0
    while phrase and at + len(phrase) <= len(text_stems):
        if text_stems[at : at + len(phrase)] == phrase:
            count += 1
            at += len(phrase)
        else:
            at += 1
    return count
