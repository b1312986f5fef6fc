# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the controller says of work on a target while it lasts: lines, made of the samples that engine.progress writes there. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

from ansible_collections.virtops.linux.plugins.module_utils.engine.units import human_size

#: Seconds: nothing is said of a run that is younger, and no more often than every so many.
FIRST, PERIOD = 3.0, 2.0
_WINDOW = 5.0  # seconds over which a rate is taken, at least where there was news meanwhile
_SILENCE = 10.0  # seconds without news after which that is what is said; and as many times the time between two news:
_PATIENCE = 3.0
_LONGEST = 300  # letters that a target can have us show


@dataclass(frozen=True)
class Sample:
    """How far a step is. unit: of done, total and first, bytes or percent. first: what was done when it began.

    lasted, age: seconds, of the step and of the run.
    """

    step: str
    about: str
    unit: str
    done: float
    total: Optional[float]
    first: float
    lasted: float
    age: float


def parse(text: str) -> Optional[Sample]:
    """What a target has said, which is nothing to rely on. None of an empty text. ValueError where it is no sample."""
    if not text.strip():
        return None
    try:
        found = json.loads(text)
        numbers = {name: float(found[name]) for name in ("done", "first", "lasted", "age")}
        total = None if found["total"] is None else float(found["total"])
        return Sample(**{name: _printable(found[name]) for name in ("step", "about", "unit")}, total=total, **numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no sample: {_printable(text)}") from error


def _printable(words: Any) -> str:
    """Without what a terminal takes for orders."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(words)[:_LONGEST])


class Story:
    """The lines of one run, in which one step follows another. head: what they begin with."""

    def __init__(self, head: str, shows_names: bool = True) -> None:
        self.head = head
        self.shows_names = shows_names
        self._news: List[Tuple[float, float]] = []  # of this step: when, and how much was done
        self._sample: Optional[Sample] = None
        self._seen = 0.0

    def line(self, sample: Sample, now: float) -> Optional[str]:
        """What is to be said, if anything. now: seconds, on whatever clock."""
        last = self._sample
        if last is None or (sample.step, sample.about) != (last.step, last.about) or sample.lasted < last.lasted:
            self._news = [(0.0, sample.first)]
        if last is None or sample != last:
            self._sample, self._seen = sample, now
        if sample.done != self._news[-1][1]:
            self._news.append((sample.lasted, sample.done))
        since = now - self._seen
        if sample.age + since < FIRST:
            return None
        name = f" {sample.about}" if sample.about and self.shows_names else ""
        return f"{self.head}{name}: {_amount(sample)}{self._pace(sample, sample.lasted + since)}"

    def _pace(self, sample: Sample, lasted: float) -> str:
        """The rate, and from it the time that is left."""
        when, done = self._news[-1]
        if len(self._news) < 2:
            return f", nothing new for {_duration(lasted)}" if lasted >= _SILENCE else ""
        before = self._news[-2][0]
        if lasted - when >= max(_SILENCE, _PATIENCE * (when - before)):
            return f", nothing new for {_duration(lasted - when)}"
        start = next((news for news in reversed(self._news[:-1]) if when - news[0] >= _WINDOW), self._news[0])
        if when <= start[0] or done <= start[1]:  # it began anew
            return ""
        rate = (done - start[1]) / (when - start[0])
        words = f", {human_size(int(rate))}/s" if sample.unit == "bytes" else ""
        if sample.total is None or sample.total < done:
            return words
        return f"{words}, {_duration(max(0.0, (sample.total - done) / rate - (lasted - when)))} left"


def _amount(sample: Sample) -> str:
    if not sample.total:
        return f"{sample.step}, {human_size(int(sample.done))} so far"
    percent = f"{sample.step} {min(100, int(100 * sample.done / sample.total))} %"
    return f"{percent} of {human_size(int(sample.total))}" if sample.unit == "bytes" else percent


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
