"""Checksums by name: published specimens hold, and hardly any other number does."""

from __future__ import annotations

import pytest

from agentguard.masking.detectors.named_checksums import CHECKSUMS, holds

SPECIMENS = {
    "aba": ("021000021", "011401533"),
    "abn": ("51 824 753 556",),
    "ahv": ("756.9217.0769.85",),
    "base58": ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT",),
    "bech32": ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",),
    "bsn": ("111222333",),
    "cnp": ("1800101221144",),
    "cnpj": ("11.222.333/0001-81",),
    "codice-fiscale": ("RSSMRA85T10A562S",),
    "cpf": ("529.982.247-25",),
    "cpr": ("070761-4285",),
    "cuit": ("20-12345678-6",),
    "curp": ("HEGG560427MVZRRL04",),
    "dea": ("AB1234563",),
    "dni": ("12345678Z", "X1234567L"),
    "ean": ("4006381333931",),
    "egn": ("7523169263",),
    "fodselsnummer": ("01010750160",),
    "gstin": ("27AAPFU0939F1ZV",),
    "hetu": ("131052-308T",),
    "hkid": ("A123456(3)",),
    "iban": ("GB29 NWBK 6016 1331 9268 19",),
    "inn": ("500100732259",),
    "ird": ("49-091-850",),
    "isikukood": ("37605030299",),
    "luhn": ("046 454 286", "4111 1111 1111 1111"),
    "medicare": ("2123 45670 1",),
    "mod11-2": ("11010519491231002X",),
    "mod11-10": ("69435151530",),
    "my-number": ("123456789018",),
    "nhs": ("943 476 5919",),
    "nif-pt": ("123456789",),
    "nir": ("255081416802538",),
    "npi": ("1234567893",),
    "nric": ("S1234567D", "F1234567N"),
    "personnummer": ("811228-9874", "19811228-9874"),
    "pesel": ("44051401359",),
    "pps": ("1234567T", "1234567FA"),
    "rijksregister": ("93.05.18-223.61",),
    "rodne-cislo": ("780123/3540",),
    "rrn": ("900101-1234568",),
    "rut": ("12.345.678-5",),
    "snils": ("112-233-445 95",),
    "steuer-id": ("86095742719", "65929970489"),
    "svnr": ("1237010180",),
    "tckn": ("10000000146",),
    "tfn": ("123 456 782",),
    "thai-id": ("1-1017-00230-70-8",),
    "twid": ("A123456789",),
    "verhoeff": ("2341 2341 2346",),
}
_BY_DATE_ALONE = "cpr"
"""Danish numbers given since 2007 have no checksum; only the date in them is looked at."""


def test_every_checksum_has_a_specimen() -> None:
    """The table below names all that a policy may name."""
    assert SPECIMENS.keys() == CHECKSUMS.keys()


@pytest.mark.parametrize("name", SPECIMENS)
def test_specimens_hold(name: str) -> None:
    """Numbers that are published as examples pass, with their spaces and marks."""
    assert all(holds(name, value) for value in SPECIMENS[name])


@pytest.mark.parametrize("name", sorted(SPECIMENS.keys() - {_BY_DATE_ALONE}))
def test_one_wrong_digit_is_noticed(name: str) -> None:
    """Of all numbers with one other digit, at most one in six passes."""
    value = SPECIMENS[name][0]
    others = [
        value[:place] + digit + value[place + 1 :]
        for place, c in enumerate(value)
        if c.isdigit()
        for digit in "0123456789"
        if digit != c
    ]
    assert sum(holds(name, other) for other in others) <= len(others) / 6


@pytest.mark.parametrize("name", CHECKSUMS)
@pytest.mark.parametrize("text", ["", "-", "x", "ä" * 9, "٣" * 11, "0" * 11, "1" * 40, "A" * 16, "9" * 15])
def test_other_shapes_never_raise(name: str, text: str) -> None:
    """Whatever a pattern matches may be asked about; a checksum answers."""
    assert holds(name, text) in (True, False)
