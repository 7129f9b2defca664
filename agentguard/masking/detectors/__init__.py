"""What finds personal and secret data by its form."""

from __future__ import annotations

from agentguard.masking.detectors.cards import Cards
from agentguard.masking.detectors.contact import Emails
from agentguard.masking.detectors.crypto import Wallets
from agentguard.masking.detectors.detector import Anchored, Detector
from agentguard.masking.detectors.iban import Ibans
from agentguard.masking.detectors.national import UsNumbers
from agentguard.masking.detectors.network import IpAddresses, MacAddresses, UrlLogins
from agentguard.masking.detectors.phones import Phones
from agentguard.masking.detectors.secrets import PrivateKeys, ServiceKeys, WebTokens

__all__ = ["DEFAULT_DETECTORS", "Anchored", "Detector"]

DEFAULT_DETECTORS: tuple[Detector, ...] = (
    Emails(),
    Phones(),
    Cards(),
    Ibans(),
    UsNumbers(),
    IpAddresses(),
    MacAddresses(),
    UrlLogins(),
    Wallets(),
    ServiceKeys(),
    WebTokens(),
    PrivateKeys(),
)
"""The detectors of a `Masker` that was given none."""
