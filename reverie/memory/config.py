"""All options of a memory, as one model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from reverie.memory.demotion import WORD_BITS
from reverie.memory.retention import Policy
from reverie.memory.search_config import SearchConfig
from reverie.memory.segmentation import SegmentationConfig
from reverie.memory.store import StoreConfig


class MemoryConfig(BaseModel):
    """All options of a memory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: StoreConfig = StoreConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    search: SearchConfig = SearchConfig()
    max_bytes: int | None = Field(
        4 << 30,
        ge=1 << 20,
        description="Disk that the directory may take (kept within 5 %): older events become coarser. None: no limit.",
    )
    short_term_s: float = Field(
        600.0,
        ge=0,
        description="The newest part of a stream, in an eighth of the budget at most: made coarser only when all else "
        "is not enough.",
    )
    extract_facts: bool = Field(
        True, description="Whether plain statements in what is said and written become facts (see `Memory.facts`)."
    )
    word_filter_bits: Literal[0, 64, 128, 256] = Field(
        WORD_BITS,
        description="Bits that keep which words a minute held when its texts fade; speech has about 70 that count. "
        "0: nothing is kept of them.",
    )
    forgetting: Policy = Field(
        "retention",
        description="What becomes coarser first: the least retained, or for comparison the oldest (fifo), the newest "
        "(lifo), the least or the most visited.",
    )
    ttl_s: float | None = Field(
        None, gt=0, description="Events that ended longer ago are erased for good. None: nothing expires."
    )
    remember_recalls: bool = Field(True, description="What a search finds is kept longer.")
    consolidate_every_s: float = Field(
        600.0, gt=0, description="Stream time after which a write consolidates: merges repeats, builds episodes."
    )
    max_picture_bytes: int = Field(256 * 1024, ge=0, description="A larger thumbnail is not kept as a key frame.")
