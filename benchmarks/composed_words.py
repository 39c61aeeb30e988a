"""What is said in the composed streams: small talk that recurs, habits of every day, and events told only once.

The sentences are written as a perfect recogniser would hear them (no speech is synthesised). Rare events share their
people and places with the small talk; only the thing, and what happened to it, is new. Half of the questions
name the thing as it was told ("the violin"), half by another word ("the musical instrument").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

PEOPLE = ("Marta", "Jonas", "Aisha", "Pedro", "Grandma", "Uncle Tom", "Lena", "Mister Okafor", "Sofia", "the neighbour")
PLACES = (
    "in the kitchen", "in the garage", "on the balcony", "by the front door", "under the stairs", "in the garden shed",
    "behind the sofa", "at the bus stop", "in the office", "next to the washing machine",
)  # fmt: skip
_DOINGS = (
    "{who} is {where} again.", "Have you seen {who} this morning?", "I think {who} is waiting {where}.",
    "Please tell {who} that dinner is nearly ready.", "{who} left a jacket {where}.", "Somebody should sweep {where}.",
    "Is {who} coming home late today?", "Put the bags down {where}, please.", "{who} called a minute ago.",
    "It is cold {where} today.",
)  # fmt: skip
_PLAIN = (
    "What would you like to drink?", "I slept badly last night.", "Can you close the window?", "The coffee is too hot.",
    "We are running late.", "Do not forget your keys.", "Turn the music down a little.", "It might rain this evening.",
    "I will be back in ten minutes.", "That is a good idea.", "Where did I put my phone?", "The dishes are still wet.",
)  # fmt: skip
HABITS = (  # said every day: (sentence, question)
    ("The school bus leaves at seven thirty.", "When does the school bus leave?"),
    ("I am feeding the goldfish now.", "Did anybody feed the goldfish?"),
    ("Time to water the tomato plants.", "Were the tomato plants watered?"),
    ("The newspaper is on the doormat.", "Where is the newspaper?"),
    ("Take your vitamin tablets after breakfast.", "Who had to take vitamin tablets?"),
    ("The evening news starts in five minutes.", "When do the evening news start?"),
)
_THINGS = (  # (as it is told, as others would call it)
    ("violin", "musical instrument"), ("passport", "travel document"), ("parrot", "bird"), ("ladder", "thing to climb"),
    ("microscope", "laboratory device"), ("wedding ring", "piece of jewellery"), ("umbrella", "rain protection"),
    ("chess set", "board game"), ("telescope", "device to watch stars"), ("tent", "camping gear"),
    ("accordion", "squeeze box"), ("sewing machine", "device to stitch clothes"), ("globe", "model of the earth"),
    ("surfboard", "board for waves"), ("typewriter", "old writing machine"), ("hammock", "hanging bed"),
    ("compass", "thing that shows north"), ("trumpet", "brass instrument"), ("skateboard", "board with wheels"),
    ("insulin", "diabetes medicine"), ("necklace", "pearls"), ("drone", "small flying machine"),
    ("barometer", "air pressure meter"), ("canoe", "paddle boat"), ("wheelbarrow", "one wheeled cart"),
    ("kettle", "water boiler"), ("lawnmower", "grass cutter"), ("crutches", "walking aids"),
    ("tortoise", "slow reptile"), ("fire extinguisher", "thing against flames"), ("puppet", "toy figure"),
    ("rucksack", "backpack"), ("thermometer", "temperature meter"), ("beehive", "home of bees"),
    ("pressure cooker", "steam pot"), ("saxophone", "jazz horn"), ("chandelier", "ceiling light"),
    ("anchor", "ship's iron"), ("vinyl records", "old music albums"), ("kite", "toy that flies in the wind"),
    ("cactus", "desert plant"), ("bagpipes", "scottish instrument"), ("wheelchair", "chair for disabled people"),
    ("snow shovel", "tool for clearing snow"), ("aquarium", "fish tank"), ("boomerang", "throwing stick"),
    ("metal detector", "treasure finder"), ("projector", "device to show films"), ("stethoscope", "doctor's tool"),
    ("unicycle", "bike with a single wheel"), ("harmonica", "mouth organ"), ("trampoline", "jumping mat"),
    ("dumbbells", "weights"), ("pocket watch", "old timepiece"), ("birdhouse", "nesting box"), ("rug", "carpet"),
    ("crossbow", "weapon"), ("cello", "large string instrument"), ("hourglass", "sand timer"), ("sledge", "sleigh"),
)  # fmt: skip
_HAPPENED = (
    "{who} has sold the {thing} to a collector.", "{who} dropped the {thing} {where} and it broke.",
    "{who} hid the {thing} {where} as a surprise.", "{who} lent the {thing} to a cousin until spring.",
    "{who} found the {thing} {where} after months.", "A courier brought the {thing} that {who} had ordered.",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A sentence that is said once, and the question that it answers."""

    text: str
    question: str
    literal: bool


def small_talk() -> tuple[str, ...]:
    """Every sentence of small talk; the first ones are meant to be said most."""
    filled = [doing.format(who=who, where=where) for doing, who, where in product(_DOINGS, PEOPLE, PLACES)]
    return (*_PLAIN, *(text[0].upper() + text[1:] for text in dict.fromkeys(filled)))


def tell(rng: np.random.Generator, count: int) -> Sequence[Told]:
    """So many different events, at most one for each thing.

    Raises:
        ValueError: more than there are things.
    """
    if count > len(_THINGS):
        raise ValueError(f"there are {len(_THINGS)} things to tell of, not {count}")
    told = []
    for place in rng.permutation(len(_THINGS))[:count]:
        thing, other = _THINGS[place]
        text = str(rng.choice(_HAPPENED)).format(who=rng.choice(PEOPLE), where=rng.choice(PLACES), thing=thing)
        literal = bool(rng.random() < 0.5)
        question = f"What happened to the {thing if literal else other}?"
        told.append(Told(text=text[0].upper() + text[1:], question=question, literal=literal))
    return told
