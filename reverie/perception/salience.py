"""Where something sounds that is louder than what is there all the time: a doorbell, a bark, a crash.

The level of each window of 50 ms, in dB of full scale, is compared with a running background: the 20th percentile of
the last 6 s, after minimum statistics (Martin 2001), and never under -60 dB. A span begins where the level is far
enough above it and ends where it came near again for half a second (hysteresis of `activity`). A sound that stays
becomes background within 5 s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reverie.perception.activity import Activity, ActivitySegmenter
from reverie.perception.samples import SAMPLE_RATE_HZ, Samples

WINDOW_SAMPLES = SAMPLE_RATE_HZ // 20
WINDOW_S = WINDOW_SAMPLES / SAMPLE_RATE_HZ
_BACKGROUND_WINDOWS = 120
_BACKGROUND_SHARE = 0.2
_FAINTEST_DB = -60.0
_SPEECH_AT = 0.9  # probability; a bark or a knock takes less
_SPEECH_WINDOWS = 4
_BESIDE_WINDOWS = 6  # speech this close to a sound is taken for its cause


@dataclass(slots=True)
class Salience:
    """One stream, fed window by window; `waiting` are the spans that closed and were not taken out yet."""

    segmenter: ActivitySegmenter
    levels_db: list[float] = field(default_factory=list)
    speech: list[float] = field(default_factory=list)  # probability of each window from `first` on
    first: int = 0
    waiting: list[Activity] = field(default_factory=list)

    @property
    def start(self) -> int:
        """The first window that a span may still begin at."""
        if self.waiting:
            return self.waiting[0].start
        return self.segmenter.next_window if self.segmenter.start is None else self.segmenter.start

    def feed(self, samples: Samples, speech: float) -> None:
        """One window, and the probability of speech in it."""
        power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
        level_db = max(10 * np.log10(power + 1e-12), _FAINTEST_DB)
        before = sorted(self.levels_db)
        background_db = before[int(_BACKGROUND_SHARE * len(before))] if before else level_db
        self.levels_db = [*self.levels_db, level_db][-_BACKGROUND_WINDOWS:]
        self.speech.append(speech)
        self.waiting += self.segmenter.feed([level_db - background_db])
        keep_from = max(self.first, self.start - _BESIDE_WINDOWS)
        self.speech, self.first = self.speech[keep_from - self.first :], keep_from

    def finish(self) -> None:
        """Nothing follows."""
        if (last := self.segmenter.flush()) is not None:
            self.waiting.append(last)

    def is_speech(self, activity: Activity) -> bool:
        """Whether somebody speaks in a span or beside it."""
        low = max(0, activity.start - _BESIDE_WINDOWS - self.first)
        inside = self.speech[low : activity.end + _BESIDE_WINDOWS - self.first]
        return sum(probability >= _SPEECH_AT for probability in inside) >= _SPEECH_WINDOWS
