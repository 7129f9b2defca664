"""What finds personal and secret data by its form."""

from __future__ import annotations

from agentguard.masking.detectors.british import InsuranceNumbers
from agentguard.masking.detectors.cards import Cards
from agentguard.masking.detectors.contact import Emails
from agentguard.masking.detectors.crypto import Wallets
from agentguard.masking.detectors.detector import Anchored, Detector
from agentguard.masking.detectors.iban import Ibans
from agentguard.masking.detectors.national import UsNumbers
from agentguard.masking.detectors.network import IpAddresses, MacAddresses, UrlLogins
from agentguard.masking.detectors.phones import Phones
from agentguard.masking.detectors.secrets import Credentials, PrivateKeys, ServiceKeys, WebTokens
from agentguard.masking.detectors.told import ToldNumbers

__all__ = ["DEFAULT_DETECTORS", "Anchored", "Detector"]

DEFAULT_DETECTORS: tuple[Detector, ...] = (
    Emails(),
    Phones(),
    Cards(),
    Ibans(),
    UsNumbers(),
    InsuranceNumbers(),
    ToldNumbers(),
    IpAddresses(),
    MacAddresses(),
    UrlLogins(),
    Wallets(),
    ServiceKeys(),
    Credentials(),
    WebTokens(),
    PrivateKeys(),
)
"""The detectors of a `Masker` that was given none."""
