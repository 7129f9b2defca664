"""Keys and tokens of services, told by the prefix that their makers gave them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import unquote

import re2

from agentguard.masking.anchors import Anchor
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page
from agentguard.masking.randomness import looks_random

_MEMORY = 64 * 1024 * 1024
_SHORTEST_CREDENTIAL = 12


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _MEMORY
    return re2.compile(pattern, options)


KEY_FORMS = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",  # AWS
    r"gh[pousr]_[0-9A-Za-z]{30,}",  # GitHub
    r"github_pat_[0-9A-Za-z_]{40,}",
    r"gl(?:pat|ptt|dt|rt|rtr|cbt|ft|soat|agent|oas|imt|ffct)-[0-9A-Za-z_\-.]{20,}",  # GitLab
    r"xox[abeoprs]-[0-9A-Za-z\-]{10,}",  # Slack
    r"xapp-[0-9]-[0-9A-Za-z\-]{10,}",
    r"(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}",  # Stripe
    r"whsec_[0-9A-Za-z+/=]{24,100}",
    r"sk-[0-9A-Za-z_\-]{20,}",  # OpenAI, Anthropic and those that followed
    r"(?:gsk_|xai-|pplx-)[0-9A-Za-z]{40,100}",  # Groq, xAI, Perplexity
    r"r8_[0-9A-Za-z]{37}",  # Replicate
    r"npm_[0-9A-Za-z]{30,50}",
    r"pypi-[0-9A-Za-z_\-]{40,}",
    r"rubygems_[0-9a-f]{48}",
    r"SG\.[0-9A-Za-z_\-]{16,30}\.[0-9A-Za-z_\-]{16,60}",  # SendGrid
    r"xkeysib-[0-9a-f]{64}-[0-9A-Za-z]{16}",  # Brevo
    r"key-[0-9a-f]{32}",  # Mailgun
    r"[0-9a-f]{32}-us[0-9]{1,2}",  # Mailchimp
    r"AIza[0-9A-Za-z_\-]{35}",  # Google
    r"ya29\.[0-9A-Za-z_\-]{20,}",
    r"GOCSPX-[0-9A-Za-z_\-]{20,40}",
    r"[0-9A-Za-z_~.]{3}8Q~[0-9A-Za-z_~.\-]{31,34}",  # Azure
    r"(?:AC|SK)[0-9a-f]{32}",  # Twilio
    r"hf_[0-9A-Za-z]{30,50}",  # Hugging Face
    r"do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
    r"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}",  # Shopify
    r"dapi[0-9a-f]{32}(?:-[0-9])?",  # Databricks
    r"lin_api_[0-9A-Za-z]{30,50}",  # Linear
    r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",  # Postman
    r"sq0(?:csp|atp|idp)-[0-9A-Za-z_\-]{22,60}",  # Square
    r"EAAA[0-9A-Za-z_\-]{40,120}|EAA[0-9A-Za-z]{60,}|EAACEdEose0cBA[0-9A-Za-z]{10,}",  # Square, Meta
    r"ATATT[0-9A-Za-z_\-=]{50,}",  # Atlassian
    r"(?:hv[sbr]\.|atlasv1\.)[0-9A-Za-z_\-]{24,}",  # HashiCorp
    r"glsa_[0-9A-Za-z]{32}_[0-9a-fA-F]{8}",  # Grafana
    r"eyJrIjoi[0-9A-Za-z=_\-]{40,}",
    r"NRAK-[0-9A-Z]{27}",  # New Relic
    r"dckr_[op]at_[0-9A-Za-z_\-]{20,60}",  # Docker
    r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    r"ntn_[0-9A-Za-z]{40,60}|secret_[0-9A-Za-z]{43}",  # Notion
    r"figd_[0-9A-Za-z_\-]{38,60}",  # Figma
    r"sbp_[0-9a-f]{40}",  # Supabase
    r"pscale_(?:tkn|pw|oauth)_[0-9A-Za-z_\-.=]{30,70}",  # PlanetScale
    r"AKCp[0-9A-Za-z]{60,80}",  # Artifactory
    r"EZ[AT]K[0-9A-Za-z]{54}",  # EasyPost
    r"ops_eyJ[0-9A-Za-z+/=_\-]{100,}",  # 1Password
    r"CCIPAT_[0-9A-Za-z_]{20,30}_[0-9a-f]{40}",  # CircleCI
    r"nfp_[0-9A-Za-z]{36}",  # Netlify
    r"rnd_[0-9A-Za-z]{28,40}",  # Render
    r"fm[12]_[0-9A-Za-z+/=_\-]{80,}",  # Fly
    r"dp\.(?:pt|st|ct|sa|scim|audit)\.[0-9A-Za-z._\-]{40,64}",  # Doppler
    r"sntry[su]_[0-9A-Za-z+/=_\-]{60,}",  # Sentry
    r"pat[0-9A-Za-z]{14}\.[0-9a-f]{64}",  # Airtable
    r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}",  # Cloudflare
    r"LTAI[0-9A-Za-z]{20}",  # Alibaba
    r"tskey-[a-z]+-[0-9A-Za-z]+-[0-9A-Za-z]{20,50}",  # Tailscale
    r"ph[cx]_[0-9A-Za-z]{40,50}",  # PostHog
    r"sgp_[0-9a-f_]{40,70}",  # Sourcegraph
    r"[0-9]{8,10}:AA[0-9A-Za-z_\-]{32,34}",  # Telegram
    r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[0-9A-Za-z/_\-]{20,200}",
    r"https://(?:canary\.|ptb\.)?discord(?:app)?\.com/api/webhooks/[0-9]{15,22}/[0-9A-Za-z_\-]{50,80}",
)
"""How services write their keys, for RE2."""

_KEYS = _compiled(rf"(?:^|[^0-9A-Za-z_])({'|'.join(KEY_FORMS)})")
_HEADER = _compiled(r"(?i)(?:^|[^0-9A-Za-z_])(?:bearer|basic|apikey|digest) +([0-9A-Za-z+/_=.~\-]{12,})")
_IN_QUERY = _compiled(
    r"(?i)[?&#;/]((?:[0-9a-z]{1,24}[._\-]){0,4}(?:[a-z]{0,12}token|sig|signature|[a-z]{0,8}secret|(?:api|access|sub|account|app)?[_\-]?key|auth|code"
    r"|password|passwd|pwd|sid|session|sessionid|jwt|ticket|credential)=[^&\s\"'<>#;\x1f]{8,})"
)
_JWT = re.compile(
    r"(?<![0-9A-Za-z_\-])eyJ[0-9A-Za-z_\-]{8,}\.(?:eyJ[0-9A-Za-z_\-]+|[0-9A-Za-z_\-]{8,})(?:\.[0-9A-Za-z_\-]*){1,3}"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----")
_LONGEST_KEY = 20_000


class ServiceKeys:
    """API_KEY: a known prefix and the characters that follow it by its maker's rule."""

    name = "service_keys"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.SERVICE_KEY})

    def find(self, page: Page) -> Iterator[Finding]:
        """Keys of known makers."""
        text = page.text
        for start, end in page.spans(_KEYS):
            if not (text[end : end + 1].isalnum() or text[end : end + 1] == "_"):
                yield Finding(start, end, "API_KEY", 0.95, self.name)


class Credentials:
    """API_KEY: what stands behind `Bearer` or `Basic`, and in a URL behind `token=`, `sig=`, `code=`, where it looks drawn at random."""

    name = "credentials"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.QUERY, Anchor.SCHEME})

    def find(self, page: Page) -> Iterator[Finding]:
        """Credentials of HTTP."""
        text = page.text
        if Anchor.SCHEME in page.anchors:
            for start, end in page.spans(_HEADER):
                if looks_random(text[start:end].rstrip("="), _SHORTEST_CREDENTIAL):
                    yield Finding(start, end, "API_KEY", 0.92, self.name)
        if Anchor.QUERY in page.anchors:
            for start, end in page.spans(_IN_QUERY):
                first = text.index("=", start) + 1
                if looks_random(unquote(text[first:end]).rstrip("="), _SHORTEST_CREDENTIAL):
                    yield Finding(first, end, "API_KEY", 0.92, self.name)


class WebTokens:
    """JWT: signed or encrypted, in compact form (RFC 7519)."""

    name = "jwt"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.WEB_TOKEN})

    def find(self, page: Page) -> Iterator[Finding]:
        """JSON web tokens."""
        for match in _JWT.finditer(page.text):
            yield Finding(*match.span(), "JWT", 0.98, self.name)


class PrivateKeys:
    """PRIVATE_KEY in PEM. One that is cut off counts to the end of its text."""

    name = "private_key"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.PEM})

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
