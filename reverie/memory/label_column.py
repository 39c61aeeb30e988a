"""The names that rows bear and how probable each is: read by row, and by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt32
from numpy import ndarray

from reverie.memory.rows import LABEL_DTYPE, label_rows
from reverie.memory.vectors import GrowingArray


class LabelColumn:
    """One entry for each name of each row: row numbers (ascending), label ids, scores."""

    def __init__(self) -> None:
        self.rows = GrowingArray(np.int64)
        self.ids = GrowingArray(np.int64)
        self.scores = GrowingArray(np.float32)
        self._forget_names()

    def _forget_names(self) -> None:
        self._with: dict[int, GrowingArray] = {}  # numbers of each label's entries
        self._num_sorted = 0

    def extend(self, first: int, packed: Sequence[bytes | None]) -> None:
        """Append the packed labels of rows that are numbered from `first`."""
        labels = label_rows(b"".join(part or b"" for part in packed))
        counts = [len(part or b"") // LABEL_DTYPE.itemsize for part in packed]
        self.rows.extend(np.repeat(np.arange(first, first + len(packed)), counts))
        self.ids.extend(labels["label"].astype(np.int64))
        self.scores.extend(labels["score"].astype(np.float32))

    def merge(self, fresh: LabelColumn, moved: Int64[ndarray, "n"], arrived: Int64[ndarray, "m"]) -> None:
        """Row `i` becomes `moved[i]` (-1: it goes), and row `i` of the fresh ones becomes `arrived[i]`."""
        stays = moved[self.rows.rows] >= 0
        rows = np.concatenate([moved[self.rows.rows[stays]], arrived[fresh.rows.rows]])
        order = np.argsort(rows, kind="stable")
        self.ids.assign(np.concatenate([self.ids.rows[stays], fresh.ids.rows])[order])
        self.scores.assign(np.concatenate([self.scores.rows[stays], fresh.scores.rows])[order])
        self.rows.assign(rows[order])
        self._forget_names()

    def entries_with(self, label: int) -> UInt32[ndarray, "k"]:
        """Numbers of the entries of one label, ascending."""
        ids = self.ids.rows[self._num_sorted :]
        if len(ids):
            order = np.argsort(ids, kind="stable")
            names, first = np.unique(ids[order], return_index=True)
            for name, entries in zip(names.tolist(), np.split(order + self._num_sorted, first[1:]), strict=True):
                self._with.setdefault(name, GrowingArray(np.uint32)).extend(entries)
            self._num_sorted = len(self.ids)
        own = self._with.get(label)
        return own.rows if own is not None else np.zeros(0, np.uint32)
