r"""The one place where text becomes safe to show to people, on whatever surface.

Rules:
- control, format, private and unassigned characters, surrogates, bidi marks, zero-width and tag characters, variation selectors and blank
  fillers are written as escapes (`\u202e`), never passed and never dropped;
- a `Line` stays one line: a break in it is written as `\n`, so that no value can pass for a line of ours;
- a `Block` may have lines; a long run of blanks is counted instead of shown, so that nothing can be pushed out of sight;
- a record of these types can't be built with anything else, so no surface can forget it. Markup is each surface's own to escape.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from agentguard.masking import visible

BLANKS_SHOWN = 40
"""A longer run of spaces is counted."""

BREAKS_SHOWN = 4
"""More empty lines than that are counted."""

_SPACES = re.compile(rf"[^\S\n]{{{BLANKS_SHOWN + 1},}}")
_BREAKS = re.compile(rf"\n(?:[^\S\n]*\n){{{BREAKS_SHOWN},}}")


def line(text: str) -> str:
    """One line that hides and steers nothing."""
    return _counted(visible(text)).replace("\n", "\\n").replace("\t", "\\t")


def block(text: str) -> str:
    """Lines that hide and steer nothing."""
    return _counted(visible(text))


def _counted(text: str) -> str:
    text = _SPACES.sub(lambda run: f"[{len(run[0]):,} spaces]", text)
    return _BREAKS.sub(lambda run: f"\n[{run[0].count(chr(10)):,} line breaks]\n", text)


Line = Annotated[str, AfterValidator(line)]
Block = Annotated[str, AfterValidator(block)]
