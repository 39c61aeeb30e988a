"""Long-term memory of sight and sound: durable, searchable, erasable."""

from reverie.memory.backup import BackupReceipt
from reverie.memory.config import MemoryConfig
from reverie.memory.fact_reading import FactReader, FactReceipt
from reverie.memory.familiarity import Familiarity
from reverie.memory.memory import Memory
from reverie.memory.note_reading import NoteReader, NoteReceipt
from reverie.memory.records import (
    ConsolidationReceipt,
    CopyRecord,
    Entity,
    ForgetReceipt,
    Forgettable,
    GapRecord,
    LabelCount,
    MemoryStats,
    Note,
    PinRecord,
    WriteReceipt,
)
from reverie.memory.search_config import SearchConfig
from reverie.memory.segmentation import SegmentationConfig
from reverie.memory.store import StoreConfig
from reverie.memory.verify import Finding, VerifyReport
from reverie.memory.word_filters import Saying

__all__ = [
    "BackupReceipt",
    "ConsolidationReceipt",
    "CopyRecord",
    "Entity",
    "FactReader",
    "FactReceipt",
    "Familiarity",
    "Finding",
    "ForgetReceipt",
    "Forgettable",
    "GapRecord",
    "LabelCount",
    "Memory",
    "MemoryConfig",
    "MemoryStats",
    "Note",
    "NoteReader",
    "NoteReceipt",
    "PinRecord",
    "Saying",
    "SearchConfig",
    "SegmentationConfig",
    "StoreConfig",
    "VerifyReport",
    "WriteReceipt",
]
