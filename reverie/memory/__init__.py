"""Long-term memory of sight and sound: durable, searchable, erasable."""

from reverie.memory.backup import BackupReceipt
from reverie.memory.memory import Memory, MemoryConfig
from reverie.memory.records import (
    CopyRecord,
    ForgetReceipt,
    Forgettable,
    GapRecord,
    LabelCount,
    MemoryStats,
    WriteReceipt,
)
from reverie.memory.search_config import SearchConfig
from reverie.memory.segmentation import SegmentationConfig
from reverie.memory.store import StoreConfig
from reverie.memory.verify import Finding, VerifyReport

__all__ = [
    "BackupReceipt",
    "CopyRecord",
    "Finding",
    "ForgetReceipt",
    "Forgettable",
    "GapRecord",
    "LabelCount",
    "Memory",
    "MemoryConfig",
    "MemoryStats",
    "SearchConfig",
    "SegmentationConfig",
    "StoreConfig",
    "VerifyReport",
    "WriteReceipt",
]
