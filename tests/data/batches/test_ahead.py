"""The order of what a GPU is told, with streams that only take notes: one step ahead, nothing dropped before it arrived."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lgsf.data.batches import ahead
from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import open_dataset
from lgsf.data.text import Vocabulary


class Notes:
    """Streams and events of a device that arrives at what it is told when `arrive` says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.arrived = 0
        self.events = 0
        notes = self

        class Stream:
            def __init__(self, name: object = "lane") -> None:
                self.name = "lane" if not isinstance(name, str) else name

            def wait_event(self, event: Event) -> None:
                notes.said.append(f"{self.name} waits for {event.number}")

            def wait_stream(self, other: Stream) -> None:
                notes.said.append(f"{self.name} waits for {other.name}")

        class Event:
            def __init__(self) -> None:
                self.number = notes.events
                notes.events += 1

            def record(self, stream: Stream) -> None:
                notes.said.append(f"{stream.name} records {self.number}")

            def query(self) -> bool:
                return self.number < notes.arrived

            def synchronize(self) -> None:
                notes.said.append(f"host waits for {self.number}")
                notes.arrived = max(notes.arrived, self.number + 1)

        @contextmanager
        def stream(one: Stream) -> Iterator[None]:
            yield

        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "stream", stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("main"))
        monkeypatch.setattr(
            torch.Tensor, "record_stream", lambda tensor, one: notes.said.append(f"{one.name} uses {int(tensor)}")
        )


def test_a_batch_is_sent_while_the_one_before_it_is_computed_with(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(monkeypatch)
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(4):
            made.append(number)
            yield number

    got = ahead._ahead(items(), torch.device("cpu"), lambda number: (torch.tensor(number), None))
    for number in range(4):
        assert int(next(got)[0]) == number
        assert made == list(range(min(number + 2, 4)))  # one ahead, and no more
        notes.arrived = number + 1
    assert next(got, None) is None
    assert notes.said[0] == "lane waits for main"
    for number in range(4):  # the computing stream waits for the copies, then owns what was copied
        at = notes.said.index(f"main waits for {number}")
        assert notes.said.index(f"lane records {number}") < at
        assert notes.said[at + 1] == f"main uses {number}"
    assert not any(line.startswith("host") for line in notes.said)


class Item:
    """Something whose end is noticed."""

    def __init__(self, number: int, ended: list[int]) -> None:
        self.number, self._ended = number, ended

    def __del__(self) -> None:
        self._ended.append(self.number)


def test_memory_is_held_until_it_has_arrived_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    notes, ended = Notes(monkeypatch), []
    got = ahead._ahead(
        (Item(k, ended) for k in range(12)), torch.device("cpu"), lambda item: (torch.tensor(item.number),)
    )
    for _ in range(2):
        next(got)
        assert ended == []  # nothing has arrived
    notes.arrived = 2
    next(got)
    assert ended == [0, 1]
    assert not any(line.startswith("host") for line in notes.said)
    for _ in range(3):
        next(got)
    assert "host waits for 2" in notes.said  # where the way is slow a few batches are held, not all
    assert len(list(got)) == 6
    del got
    assert sorted(ended) == list(range(12))


def test_what_is_sent_ahead_is_what_was_made(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_dataset(tiny_dataset)
    vocabulary = Vocabulary.load(tiny_dataset / "vocabulary.json")
    batches = TrainingBatches(dataset.split("train"), vocabulary, batch_size=8, seed=0, region_drop=0.3)
    plain = [vars(batch) for batch in batches.epoch(1)]
    monkeypatch.setattr(torch.Tensor, "__int__", lambda tensor: 0)
    Notes(monkeypatch)
    sent = ahead._ahead(batches.epoch(1), torch.device("cpu"), lambda batch: batch.to("cpu"))
    for expected, found in zip(plain, sent, strict=True):
        assert all(torch.equal(expected[name], value) for name, value in vars(found).items())
