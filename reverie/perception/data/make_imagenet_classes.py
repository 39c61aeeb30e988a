"""Make imagenet_classes.safetensors: the 1000 ImageNet classes as MiniLM vectors, with readable names.

    python reverie/perception/data/make_imagenet_classes.py

ConSE (Norouzi et al. 2014) places a picture in a text space as the mean of its classes' vectors. A
class is described by its WordNet lemmas and definition, "tabby, tabby cat: a cat with a grey or
tawny coat mottled with black", read from the text files in timm. The file holds `vectors`,
(1000, 384) float16 of unit norm, and in its metadata the names, these descriptions, the encoder and the digest of
the MiniLM weights, and which classes belong to a kind such as "dog".
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from reverie.perception.minilm import MiniLM
from reverie.perception.models import MODELS

TARGET = Path(__file__).with_name("imagenet_classes.safetensors")

# What the rule of `readable_name` gives, where two classes share it or nobody would read what is meant.
NAMES = {
    "n02012849": "crane bird",
    "n03126707": "construction crane",
    "n03710637": "maillot swimsuit",
    "n03710721": "tank suit",
    "n01819313": "cockatoo",
    "n01882714": "koala",
    "n02086910": "papillon dog",
    "n02105412": "kelpie dog",
    "n02108089": "boxer dog",
    "n02115641": "dingo",
    "n02134084": "polar bear",
    "n02389026": "sorrel horse",
    "n02417914": "ibex",
    "n02480855": "gorilla",
    "n02486261": "patas monkey",
    "n02500267": "indri",
    "n02509815": "red panda",
    "n02672831": "accordion",
    "n02747177": "trash can",
    "n02814533": "station wagon",
    "n02892767": "bra",
    "n02930766": "taxi",
    "n02992529": "mobile phone",
    "n03028079": "church",
    "n03372029": "flute",
    "n03483316": "hair dryer",
    "n03584829": "clothes iron",
    "n03594734": "blue jeans",
    "n03691459": "loudspeaker",
    "n03692522": "magnifying glass",
    "n03782006": "computer monitor",
    "n03857828": "oscilloscope",
    "n03929660": "guitar pick",
    "n04005630": "prison",
    "n04116512": "eraser",
    "n04118776": "ruler",
    "n04152593": "computer screen",
    "n04325704": "shawl",
    "n04350905": "suit",
    "n04355933": "sunglass lens",
    "n04404412": "television",
    "n04487081": "trolley bus",
    "n04554684": "washing machine",
    "n06359193": "website",
    "n07742313": "green apple",
    "n07873807": "pizza",
    "n09193705": "mountain",
    "n13133613": "ear of corn",
}

# Kinds of things that ImageNet splits into many classes: the index ranges [first, last] of each. A picture
# of a dog spreads its probability over breeds; the sum says "dog".
KINDS = {
    "fish": [(0, 0), (1, 1), (389, 397)],
    "shark": [(2, 4)],
    "bird": [(7, 24), (80, 100), (127, 146)],
    "frog": [(30, 32)],
    "turtle": [(33, 37)],
    "lizard": [(38, 48)],
    "snake": [(52, 68)],
    "spider": [(72, 77)],
    "dog": [(151, 268)],
    "wolf": [(269, 271)],
    "fox": [(277, 280)],
    "cat": [(281, 285)],
    "bear": [(294, 297)],
    "beetle": [(300, 307)],
    "butterfly": [(321, 326)],
    "rabbit": [(330, 332)],
    "ape": [(365, 369)],
    "monkey": [(370, 382)],
    "elephant": [(385, 386)],
}


def read_table(name: str) -> dict[str, str]:
    """A table of timm's: synset, tab, text (or synsets alone)."""
    path = metadata.distribution("timm").locate_file(f"timm/data/_info/{name}")
    lines = Path(str(path)).read_text(encoding="utf-8").splitlines()
    return {key: text for key, _, text in (line.partition("\t") for line in lines)}


def readable_name(lemmas: list[str]) -> str:
    """The first lemma, or a later one that says more with the same word ("tabby" -> "tabby cat")."""
    first = lemmas[0]
    for lemma in lemmas[1:]:
        words = lemma.split()
        if 1 < len(words) <= 3 and len(first.split()) == 1 and first in (words[0], words[-1]):
            return lemma
    return first


def class_table() -> tuple[list[str], list[str]]:
    """Names and descriptions of the classes, in the order of the model's outputs."""
    lemmas_of = read_table("imagenet_synset_to_lemma.txt")
    definition_of = read_table("imagenet_synset_to_definition.txt")
    names, descriptions = [], []
    for synset in read_table("imagenet_synsets.txt"):
        lemmas = [lemma.strip() for lemma in lemmas_of[synset].split(",")]
        names.append(re.sub(r"\s+", " ", NAMES.get(synset, readable_name(lemmas))))
        descriptions.append(f"{', '.join(lemmas)}: {definition_of[synset]}")
    if len(names) != 1000 or len(set(names)) != 1000:
        raise SystemExit(f"names are not unique: {sorted(name for name in names if names.count(name) > 1)}")
    return names, descriptions


def main() -> None:
    """Write the file."""
    names, descriptions = class_table()
    kinds = {kind: [i for low, high in ranges for i in range(low, high + 1)] for kind, ranges in KINDS.items()}
    encoder = MiniLM()
    vectors = encoder.encode(descriptions).astype(np.float16)
    weights = next(file for file in MODELS["minilm"].files if file.name == "model.safetensors")
    save_file(
        {"vectors": vectors},
        TARGET,
        metadata={
            "encoder": encoder.encoder_id,
            "minilm_sha256": weights.sha256,
            "names": json.dumps(names),
            "meanings": json.dumps(descriptions),
            "kinds": json.dumps(kinds),
        },
    )
    TARGET.chmod(0o644)
    sys.stdout.write(f"{TARGET.name}: {vectors.shape[0]} x {vectors.shape[1]}, {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
