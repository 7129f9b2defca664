"""A labelled set: every shape with every source, from one seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from benchmarks.tool_results.people import Person
from benchmarks.tool_results.planted import Document, Ink
from benchmarks.tool_results.records import Source
from benchmarks.tool_results.shapes import SHAPES
from benchmarks.tool_results.writings import WRITINGS


def labelled(seed: int, sources: Sequence[Source], rounds: int = 1) -> Iterator[Document]:
    """Documents of every shape; `rounds` of each shape with each source."""
    random = Random(seed)
    for _ in range(rounds):
        for source in sources:
            for shape in SHAPES:
                ink = Ink()
                records = [ink.mark(source(Person.new(random), random)) for _ in range(random.randrange(1, 4))]
                yield ink.document(shape.__name__, source.__name__, shape(records, random))


def written(seed: int, rounds: int = 20) -> Iterator[Document]:
    """Documents of the forms that have no fields of their own choosing."""
    random = Random(seed)
    for _ in range(rounds):
        for writing in WRITINGS:
            ink = Ink()
            yield ink.document(writing.__name__, "own", writing(Person.new(random), random, ink.mark))
