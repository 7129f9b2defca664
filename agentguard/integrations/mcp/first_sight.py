"""What a server's tools said of themselves when this machine first saw them, so that one that says something else later is noticed.

Rules:
- what was first seen stays, until a person takes what is listed now (`accept`);
- a tool that differs in its description, schemas, titles or hints is changed; its change is told as a diff, hidden characters written out;
- of what nobody looked at when it was first seen (titles, the schema of results), what is there now is the first sight;
- a file that can't be read is no first sight of anything: the proxy does not start.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from pydantic import TypeAdapter, ValidationError

from agentguard.errors import ConfigurationError
from agentguard.masking import visible
from agentguard.model.listings import Listing

_FILE: TypeAdapter[dict[str, Listing]] = TypeAdapter(dict[str, Listing])


@dataclass(frozen=True, kw_only=True)
class FirstSight:
    """The tools of one server as they were first seen, kept in `file`; met in any thread, one at a time."""

    file: Path
    seen: dict[str, Listing] = field(default_factory=dict)
    _one_at_a_time: Lock = field(default_factory=Lock)

    @classmethod
    def read(cls, file: Path) -> FirstSight:
        """What is kept in a file; nothing where there is none. Raises ConfigurationError."""
        try:
            return cls(file=file, seen=_FILE.validate_json(file.read_bytes()))
        except FileNotFoundError:
            return cls(file=file)
        except (OSError, ValidationError):
            raise ConfigurationError(
                f"{file}: what is known of the server's tools can't be read; look at the tools, then remove the file"
            ) from None

    def meet(self, listings: Iterable[Listing]) -> list[str]:
        """Keep tools that were never seen; the names of those that are not what they were."""
        met = list(listings)
        with self._one_at_a_time:
            new = {each.name: each for each in met if self._is_news(each)}
            if new:
                self.seen.update(new)
                self._write()
        return [each.name for each in met if self.seen[each.name] != each]

    def accept(self, listings: Iterable[Listing]) -> None:
        """Take what is listed now for what was first seen."""
        self.seen.update({each.name: each for each in listings})
        self._write()

    def diff(self, listing: Listing) -> list[str]:
        """What differs between a tool's first sight and now."""
        before, now = (_lines(each) for each in (self.seen[listing.name], listing))
        return list(difflib.unified_diff(before, now, "first seen", "now", lineterm="", n=1))

    def _is_news(self, listing: Listing) -> bool:
        """Whether a tool, or what else is shown of a known one, was never looked at."""
        seen = self.seen.get(listing.name)
        return seen is None or (
            seen.besides is None and seen == listing.model_copy(update={"besides": None}) != listing
        )

    def _write(self) -> None:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self.file.with_suffix(f".{os.getpid()}.new")
        beside.touch(mode=0o600)
        beside.write_bytes(_FILE.dump_json(self.seen, indent=1))
        beside.replace(self.file)


def _lines(listing: Listing) -> list[str]:
    text = json.dumps(listing.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
    return [visible(line) for line in text.replace("\\n", "\n").splitlines()]
