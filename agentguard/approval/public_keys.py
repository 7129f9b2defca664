"""Whether a text is an Ed25519 public key that a signature may be trusted to.

Rules (RFC 8032, section 5.1.3, and the small-order points that a strict verifier refuses):
- "ed25519:" and the base64 of exactly 32 bytes, written in the one canonical way;
- the bytes are the canonical encoding of a point on the curve;
- the point is not of small order: with such a key a signature could verify that nobody made.
"""

from __future__ import annotations

from agentguard.store.base64_text import decoded

_PREFIX = "ed25519:"
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ORDER_8_Y = 55188659117513257062467267217118295137698188065244968500265048394206261417927
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})


def is_public_key(text: str) -> bool:
    """Whether `text` is such a key."""
    raw = _decoded(text)
    if raw is None or len(raw) != 32:
        return False
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    return y < _P and y not in _SMALL_ORDER_Y and _on_curve(y)


def _decoded(text: str) -> bytes | None:
    return decoded(text.removeprefix(_PREFIX)) if text.startswith(_PREFIX) else None


def _on_curve(y: int) -> bool:
    """Whether some x has -x^2 + y^2 = 1 + d x^2 y^2: x^2 = (y^2 - 1) / (d y^2 + 1) must be a square (Euler's criterion)."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return square == 0 or pow(square, (_P - 1) // 2, _P) == 1
