"""Bytes written as base64."""

from __future__ import annotations

import base64
import binascii


def decoded(text: str) -> bytes | None:
    """The bytes of the one base64 text that stands for them; None for any other text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
