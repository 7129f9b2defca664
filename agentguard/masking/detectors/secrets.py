"""Keys and tokens of services, told by the prefix that their makers gave them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentguard.masking.anchors import Anchor
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

_FORMS = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",  # AWS
    r"gh[pousr]_[0-9A-Za-z]{30,255}",  # GitHub
    r"github_pat_[0-9A-Za-z_]{40,255}",
    r"gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[0-9A-Za-z_\-]{20,255}",  # GitLab
    r"xox[abeoprs]-[0-9A-Za-z\-]{10,255}",  # Slack
    r"xapp-[0-9]-[0-9A-Za-z\-]{10,255}",
    r"(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,255}",  # Stripe
    r"whsec_[0-9A-Za-z+/=]{24,100}",
    r"sk-[0-9A-Za-z_\-]{20,255}",  # OpenAI, Anthropic and those that followed
    r"npm_[0-9A-Za-z]{30,50}",
    r"pypi-[0-9A-Za-z_\-]{40,255}",
    r"SG\.[0-9A-Za-z_\-]{16,30}\.[0-9A-Za-z_\-]{16,60}",  # SendGrid
    r"AIza[0-9A-Za-z_\-]{35}",  # Google
    r"ya29\.[0-9A-Za-z_\-]{20,255}",
    r"GOCSPX-[0-9A-Za-z_\-]{20,40}",
    r"(?:AC|SK)[0-9a-f]{32}",  # Twilio
    r"hf_[0-9A-Za-z]{30,50}",  # Hugging Face
    r"do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
    r"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}",  # Shopify
    r"dapi[0-9a-f]{32}",  # Databricks
    r"lin_api_[0-9A-Za-z]{30,50}",  # Linear
    r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",  # Postman
)
_KEYS = re.compile(rf"(?<![0-9A-Za-z_])(?:{'|'.join(_FORMS)})(?![0-9A-Za-z_])")
_JWT = re.compile(
    r"(?<![0-9A-Za-z_\-])eyJ[0-9A-Za-z_\-]{8,}\.(?:eyJ[0-9A-Za-z_\-]+|[0-9A-Za-z_\-]{8,})(?:\.[0-9A-Za-z_\-]*){1,3}"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----")
_LONGEST_KEY = 20_000


class ServiceKeys:
    """API_KEY: a known prefix and the characters that follow it by its maker's rule."""

    name = "service_keys"
    anchors = frozenset({Anchor.SERVICE_KEY})

    def find(self, page: Page) -> Iterator[Finding]:
        """Keys of known makers."""
        for match in _KEYS.finditer(page.text):
            yield Finding(*match.span(), "API_KEY", 0.95, self.name)


class WebTokens:
    """JWT: signed or encrypted, in compact form (RFC 7519)."""

    name = "jwt"
    anchors = frozenset({Anchor.WEB_TOKEN})

    def find(self, page: Page) -> Iterator[Finding]:
        """JSON web tokens."""
        for match in _JWT.finditer(page.text):
            yield Finding(*match.span(), "JWT", 0.98, self.name)


class PrivateKeys:
    """PRIVATE_KEY in PEM. One that is cut off counts to the end of its text."""

    name = "private_key"
    anchors = frozenset({Anchor.PEM})

    def find(self, page: Page) -> Iterator[Finding]:
        """Blocks of PEM."""
        text, done = page.text, 0
        for match in _PRIVATE_KEY.finditer(text):
            if match.start() < done:
                continue
            mark = f"-----END {match.group(1)}-----"
            least = min(len(text), match.end() + _LONGEST_KEY)
            found = text.find(mark, match.end(), least)
            leaf = text.find("\x1f", match.end(), least)
            done = found + len(mark) if found != -1 else leaf if leaf != -1 else least
            yield Finding(match.start(), done, "PRIVATE_KEY", 0.98, self.name)
