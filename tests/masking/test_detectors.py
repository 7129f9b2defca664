"""What each detector finds, and what looks alike and is not it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.masking.anchors import Anchor, anchors_in
from agentguard.masking.detectors.secrets import KEY_FORMS
from agentguard.masking.detectors.told import TOLD
from tests.masking.samples import MASKER, found

FOUND = {
    "email": ("write to ann@acme.example today", "EMAIL_ADDRESS", "ann@acme.example"),
    "email-plus": ("to: ann.k+news@mail.acme.example.", "EMAIL_ADDRESS", "ann.k+news@mail.acme.example"),
    "email-mailto": ('<a href="mailto:ann@acme.example">', "EMAIL_ADDRESS", "ann@acme.example"),
    "email-brackets": ("Ann <ann@acme.example>", "EMAIL_ADDRESS", "ann@acme.example"),
    "email-umlaut": ("an jörg@müller.example", "EMAIL_ADDRESS", "jörg@müller.example"),
    "email-query": ("https://acme.example/?mail=ann@acme.example&x=1", "EMAIL_ADDRESS", "ann@acme.example"),
    "phone-us": ("(202) 555-0147", "PHONE_NUMBER", "(202) 555-0147"),
    "phone-us-dashes": ("reach 202-555-0147 now", "PHONE_NUMBER", "202-555-0147"),
    "phone-us-dots": ("202.555.0147", "PHONE_NUMBER", "202.555.0147"),
    "phone-us-extension": ("202-555-0147 x12", "PHONE_NUMBER", "202-555-0147 x12"),
    "phone-us-plus": ("+1 (202) 555-0147", "PHONE_NUMBER", "+1 (202) 555-0147"),
    "phone-e164": ("+12025550147", "PHONE_NUMBER", "+12025550147"),
    "phone-uk": ("+44 7700 900123", "PHONE_NUMBER", "+44 7700 900123"),
    "phone-uk-national": ("07700 900 123", "PHONE_NUMBER", "07700 900 123"),
    "phone-de": ("+49 (0)30 901820", "PHONE_NUMBER", "+49 (0)30 901820"),
    "phone-fr": ("06 12 34 56 78", "PHONE_NUMBER", "06 12 34 56 78"),
    "phone-fr-dots": ("01.84.17.61.18", "PHONE_NUMBER", "01.84.17.61.18"),
    "phone-in": ("+91 98765 43210", "PHONE_NUMBER", "+91 98765 43210"),
    "phone-00": ("0044 7700 900123", "PHONE_NUMBER", "0044 7700 900123"),
    "phone-by-word": ("call me at 467 3395", "PHONE_NUMBER", "467 3395"),
    "phone-bare-by-word": ("phone: 2025550147", "PHONE_NUMBER", "2025550147"),
    "card": ("4111 1111 1111 1111", "CREDIT_CARD", "4111 1111 1111 1111"),
    "card-dashes": ("5555-5555-5555-4444", "CREDIT_CARD", "5555-5555-5555-4444"),
    "card-plain": ("paid with 4111111111111111", "CREDIT_CARD", "4111111111111111"),
    "card-amex": ("3782 822463 10005", "CREDIT_CARD", "3782 822463 10005"),
    "card-rare-by-word": ("my card 6304000000000000", "CREDIT_CARD", "6304000000000000"),
    "card-bad-sum-by-word": ("credit card 4111 1111 1111 1112", "CREDIT_CARD", "4111 1111 1111 1112"),
    "iban": ("pay to DE89370400440532013000 please", "IBAN_CODE", "DE89370400440532013000"),
    "iban-spaces": ("GB29 NWBK 6016 1331 9268 19", "IBAN_CODE", "GB29 NWBK 6016 1331 9268 19"),
    "iban-lower-case": ("gb29nwbk60161331926819", "IBAN_CODE", "gb29nwbk60161331926819"),
    "iban-bad-sum-by-word": ("my iban is DE88370400440532013000", "IBAN_CODE", "DE88370400440532013000"),
    "ssn": ("536-22-1234", "US_SSN", "536-22-1234"),
    "ssn-misread-in-capitals": ("SOCIAL SECURITY 12S-45-6789", "US_SSN", "12S-45-6789"),
    "ssn-misread-by-a-name": ("Ssn 12S-45-6789", "US_SSN", "12S-45-6789"),
    "ssn-by-word": ("SSN 536 22 1234", "US_SSN", "536 22 1234"),
    "ssn-bare-by-word": ("social security number: 536221234", "US_SSN", "536221234"),
    "itin": ("912-70-1234", "US_ITIN", "912-70-1234"),
    "ipv4": ("from 203.0.113.9:8080", "IP_ADDRESS", "203.0.113.9"),
    "ipv6": ("peer 2001:db8::8a2e:370:7334 left", "IP_ADDRESS", "2001:db8::8a2e:370:7334"),
    "ipv6-full": ("2001:0db8:0000:0000:0000:8a2e:0370:7334", "IP_ADDRESS", "2001:0db8:0000:0000:0000:8a2e:0370:7334"),
    "mac": ("at 00:1b:44:11:3a:b7", "MAC_ADDRESS", "00:1b:44:11:3a:b7"),
    "mac-dashes": ("at 00-1B-44-11-3A-B7", "MAC_ADDRESS", "00-1B-44-11-3A-B7"),
    "url-login": ("postgres://app:s3cret@db.example:5432/main", "URL", "postgres://app:s3cret@db.example:5432/main"),
    "bitcoin": ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "CRYPTO", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    "bech32": (
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "CRYPTO",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    ),
    "ethereum": (
        "0x" + "52908400098527886E0F7030069857D2E4169EE7",
        "CRYPTO",
        "0x52908400098527886E0F7030069857D2E4169EE7",
    ),
    "aws": ("AKIA" + "Z" * 16, "API_KEY", "AKIA" + "Z" * 16),
    "github": ("ghp_" + "a1" * 18, "API_KEY", "ghp_" + "a1" * 18),
    "openai": ("sk-" + "proj-" + "a1" * 18, "API_KEY", "sk-proj-" + "a1" * 18),
    "stripe": ("sk_" + "live_" + "a1" * 12, "API_KEY", "sk_live_" + "a1" * 12),
    "jwt": (
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJhbm4ifQ." + "c2lnbmF0dXJl",
        "JWT",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl",
    ),
}

RANDOM = "q7Zk2XwP9sLf4TbN8vRm3YcH6dJg1KaE5uWt0QxS"
HEX = "3f9a1c7e5b2d8046af13c9e7b5d20864"

FOUND |= {
    "nino": ("NI number AB123456C", "UK_NINO", "AB123456C"),
    "nino-spaces": ("it is AB 12 34 56 C.", "UK_NINO", "AB 12 34 56 C"),
    "nino-alone": ("AB123456C", "UK_NINO", "AB123456C"),
    "nino-lower-case-by-word": ("nino: ab123456c", "UK_NINO", "ab123456c"),
    "nhs": ("NHS number 943 476 5919", "UK_NHS", "943 476 5919"),
    "nhs-plain": ("NHS no: 9434765919", "UK_NHS", "9434765919"),
    "nhs-misread": ("NHS number 943 476 5918", "UK_NHS", "943 476 5918"),
    "bic": ("BIC: DEUTDEFF500", "BIC", "DEUTDEFF500"),
    "bic-swift": ("SWIFT code BNPAFRPPXXX", "BIC", "BNPAFRPPXXX"),
    "aba": ("ABA routing number 021000021", "ABA_ROUTING_NUMBER", "021000021"),
    "aba-rtn": ("RTN: 121042882", "ABA_ROUTING_NUMBER", "121042882"),
    "itin-by-word": ("my ITIN is 912701234", "US_ITIN", "912701234"),
    "birth": ("Born on 12 March 1980 in Leeds", "DATE_OF_BIRTH", "12 March 1980"),
    "birth-dob": ("DOB 29/02/1980", "DATE_OF_BIRTH", "29/02/1980"),
    "birth-short-year": ("D.O.B. 02-29-80", "DATE_OF_BIRTH", "02-29-80"),
    "birth-iso": ("her date of birth is 1980-02-29", "DATE_OF_BIRTH", "1980-02-29"),
    "birth-us": ("birthday: February 29, 1980", "DATE_OF_BIRTH", "February 29, 1980"),
    "birth-de": ("geboren am 29.02.1980", "DATE_OF_BIRTH", "29.02.1980"),
    "birth-fr": ("née le 3 mars 1975", "DATE_OF_BIRTH", "3 mars 1975"),
    "birth-es": ("nacido el 29 de febrero de 1980", "DATE_OF_BIRTH", "29 de febrero de 1980"),
    "passport": ("passport number X1234567", "PASSPORT", "X1234567"),
    "passport-digits": ("Passport No. 533380006", "PASSPORT", "533380006"),
    "passport-de": ("Reisepass C01X00T47", "PASSPORT", "C01X00T47"),
    "licence": ("driver's license D123-4567-8901", "DRIVER_LICENSE", "D123-4567-8901"),
    "licence-uk": ("driving licence number MORGA753116SM9IJ", "DRIVER_LICENSE", "MORGA753116SM9IJ"),
    "licence-dl": ("DL# F2555921", "DRIVER_LICENSE", "F2555921"),
    "mrn": ("MRN 00123456", "MEDICAL_RECORD_NUMBER", "00123456"),
    "mrn-said": ("medical record number is 4451-882", "MEDICAL_RECORD_NUMBER", "4451-882"),
    "account": ("account number 12345678", "ACCOUNT_ID", "12345678"),
    "customer": ("our customer number 88123", "CUSTOMER_ID", "88123"),
    "employee": ("employee ID E-10423", "EMPLOYEE_ID", "E-10423"),
    "tax": ("Steuernummer 12/345/67890", "TAX_ID", "12/345/67890"),
    "plate": ("number plate AB51 DVL", "LICENSE_PLATE", "AB51 DVL"),
    "cvv": ("cvv 123", "CVV", "123"),
    "pin": ("PIN 4821", "PASSWORD", "4821"),
    "otp": ("your verification code is 482913", "PASSWORD", "482913"),
    "password-said": ("the password is hunter2!", "PASSWORD", "hunter2!"),
    "litecoin": ("LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1", "CRYPTO", "LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1"),
    "dogecoin": ("to DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", "CRYPTO", "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L"),
    "jdbc": ("jdbc:postgresql://db/x?user=app&password=s3cretPw9", "PASSWORD", "s3cretPw9"),
    "redis-url": ("redis://:p4ssw0rd@cache.example:6379/0", "URL", "redis://:p4ssw0rd@cache.example:6379/0"),
    "bearer": (f'curl -H "Authorization: Bearer {RANDOM}"', "API_KEY", RANDOM),
    "basic": ("Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==", "API_KEY", "dXNlcjpwYXNzd29yZDEyMw=="),
    "query-token": (f"https://acme.example/reset?token={HEX}&x=1", "API_KEY", HEX),
    "query-signature": (f"https://s3.example/k?X-Amz-Signature={HEX}{HEX}", "API_KEY", HEX + HEX),
    "query-sas": (f"https://a.example/c?sv=2020-08-04&sig={RANDOM}%3D", "API_KEY", f"{RANDOM}%3D"),
    "fragment": (f"https://acme.example/#access_token={RANDOM}", "API_KEY", RANDOM),
    "field-token": (f'{{"token": "{RANDOM}"}}', "API_KEY", RANDOM),
    "field-key": (f'{{"key": "{RANDOM}"}}', "API_KEY", RANDOM),
    "env": (f"AWS_SECRET_ACCESS_KEY={RANDOM}", "API_KEY", RANDOM),
    "cookie": (f"Set-Cookie: sid={RANDOM}; Path=/", "API_KEY", f"sid={RANDOM}"),
    "key-gitlab": ("glpat-" + RANDOM[:20], "API_KEY", "glpat-" + RANDOM[:20]),
    "key-slack": ("xoxb-" + "123456789012-" + RANDOM[:24], "API_KEY", "xoxb-123456789012-" + RANDOM[:24]),
    "key-anthropic": ("sk-" + "ant-api03-" + RANDOM * 2, "API_KEY", "sk-ant-api03-" + RANDOM * 2),
    "key-npm": ("npm_" + RANDOM[:36], "API_KEY", "npm_" + RANDOM[:36]),
    "key-pypi": ("pypi-" + "AgEIcHlwaS5vcmc" + RANDOM, "API_KEY", "pypi-AgEIcHlwaS5vcmc" + RANDOM),
    "key-twilio": ("AC" + HEX, "API_KEY", "AC" + HEX),
    "key-sendgrid": ("SG." + RANDOM[:22] + "." + RANDOM + "abc", "API_KEY", "SG." + RANDOM[:22] + "." + RANDOM + "abc"),
    "key-google": ("AIza" + RANDOM[:35], "API_KEY", "AIza" + RANDOM[:35]),
    "key-gcp-id": (f'{{"private_key_id": "{HEX}abcd1234"}}', "API_KEY", HEX + "abcd1234"),
    "key-azure": ("abc8Q~" + RANDOM[:34], "API_KEY", "abc8Q~" + RANDOM[:34]),
    "key-azure-storage": ("AccountKey=" + RANDOM * 2 + "abcd12==;", "API_KEY", RANDOM * 2 + "abcd12=="),
    "key-slack-hook": (
        "https://hooks.slack.com/services/T0ABCDEF1/B0ABCDEF2/" + RANDOM[:24],
        "API_KEY",
        "https://hooks.slack.com/services/T0ABCDEF1/B0ABCDEF2/" + RANDOM[:24],
    ),
    "key-telegram": ("123456789:AA" + RANDOM[:33], "API_KEY", "123456789:AA" + RANDOM[:33]),
    "key-vault": ("hvs." + RANDOM, "API_KEY", "hvs." + RANDOM),
    "key-long": ("ghp_" + RANDOM * 9, "API_KEY", "ghp_" + RANDOM * 9),
}

NOT_FOUND = {
    "package": "npm i @types/node@18.2.1",
    "git-remote": "git@github.com:acme/thing.git",
    "retina-image": "logo@2x.png",
    "handle": "thanks @ann for this",
    "epoch-seconds": "ts 1699999999",
    "epoch-milliseconds": '{"created": 1699999999123}',
    "epoch-fraction": "1699999999.123456",
    "order": "Order 1234567890 has shipped",
    "order-dashes": "order id 202-555-0147",
    "date-time": "2024-05-01 10:20:30",
    "date-dots": "01.02.2024 - 03.04.2024",
    "years": "1990-2005",
    "amount": "$1,234,567.89 and 1 234 567 EUR",
    "isbn": "ISBN 978-3-16-148410-0",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "sha": "9c1185a5c5e9fc54612808977ee8f548b2258d31",
    "sixteen-digits": "1234567812345678",
    "card-bad-sum": "4111 1111 1111 1112",
    "tracking": "tracking 4111111111111111",
    "float": "0.4111111111111111",
    "iban-bad-sum": "DE88370400440532013000",
    "nine-digits": "536221234",
    "part-number": "part 536-22-12345",
    "ssn-zeros": "000-22-1234",
    "loopback": "127.0.0.1 and ::1 and 0.0.0.0",
    "version": "version 10.20.30.40",
    "short-version": "1.2.3.4",
    "network": "10.20.30.0/24 and 2001:db8:1::/48",
    "octet": "300.1.2.3",
    "clock": "12:30:45",
    "ratio": "a::b",
    "url": "https://acme.example:8443/path?x=1",
    "base58-bad-sum": "1BoatSLRHtKNngkdXEeobR76b53LETtpyU",
    "sk-word": "sk-learn and task-force",
    "begin": "-----BEGIN CERTIFICATE-----",
    "nino-part": "SKU AB123456C",
    "nino-never-given": "NI number GB123456C",
    "nino-letter": "AB123456X",
    "nhs-words": "NHS waiting list 9434765919",
    "nhs-no-word": "9434765919",
    "bic-words": "SWIFT DEVELOPERS and BIC pens, INTERNATIONAL",
    "bic-country": "SWIFT DEUTXXFF",
    "aba-sum": "ABA routing number 021000022",
    "aba-packets": "routing number of packets 12",
    "aba-no-word": "021000021",
    "birth-year": "born in 1980",
    "birth-rate": "birth rate 2019 12.4",
    "birth-party": "birthday party on 12 May 2024",
    "founded": "founded on 12 March 1980, released 2024-05-01",
    "passport-control": "passport control at 12:30, passport office opened in 1990",
    "license-seats": "license key for 3 users, driver 12345678 loaded, driver version 535.104.05",
    "mrn-words": "MRN stands for medical record number",
    "pin-version": "pin the version to 1.2.3, PIN code lookup 110001, the pin is 3 cm long",
    "password-rule": "password must be 8 characters, the password is wrong, reset password at 12:30",
    "bearer-words": "Bearer of bad news, Basic plan, basic authentication required",
    "query-words": "https://acme.example/?code=US&key=summer-sale-2024&token_type=bearer&state=xyz",
    "query-video": "https://video.example/watch?v=dQw4w9WgXcQ",
    "field-page-token": f'{{"next_page_token": "{RANDOM}", "cursor": "{RANDOM}"}}',
    "field-key-words": '{"key": "user_settings_v2_theme", "token": "COMMA", "auth": "oauth2", "session": "morning"}',
    "field-key-uuid": '{"key": "550e8400-e29b-41d4-a716-446655440000", "cache_key": "' + HEX + '"}',
    "field-public-key": f'{{"public_key": "{RANDOM}", "etag": "{HEX}"}}',
    "field-secret-names": '{"secrets": ["db", "api"], "tokens": 1234, "max_tokens": 4096}',
    "code": "self.api_key = api_key\nclient = Client(access_token=None, api_key=self._key_provider(), secret=config.secret)",
    "code-names": "password = os.getcwd()\nholder = FinalizerState(lock)\nagent: The analysis agent running\nx full_name='__main__.D'",
    "code-addresses": "address = 0\nself.client_address = (host, 8080)\naddress: int = ptr.value or 0",
    "rfc": "as specified in :rfc:`2231`",
    "trace": f'{{"trace_id": "{HEX}", "commit": "{HEX}abcdef01"}}',
}


@pytest.mark.parametrize(("text", "entity_type", "value"), FOUND.values(), ids=FOUND.keys())
def test_finds_its_data(text: str, entity_type: str, value: str) -> None:
    """A detector finds exactly the span, under Presidio's name."""
    assert (entity_type, value) in found(text)


@pytest.mark.parametrize("text", NOT_FOUND.values(), ids=NOT_FOUND.keys())
def test_leaves_alone_what_only_looks_alike(text: str) -> None:
    """Numbers and words of other kinds raise no alarm."""
    assert found(text) == []


@pytest.mark.parametrize("word", TOLD)
def test_every_telling_word_is_looked_for(word: str) -> None:
    """The cheap pass over a text knows each word that a detector reads, small or large."""
    assert Anchor.TOLD in anchors_in(f"x {word}\t12345678")
    assert Anchor.TOLD in anchors_in(f"_{word.upper()}: 12345678")


@pytest.mark.parametrize("mark", " \t\n\"'*_:=#.,()[]-–/")
def test_a_telling_word_is_looked_for_between_any_marks(mark: str) -> None:
    """The cheap pass knows a short word wherever the detector takes it for a whole one."""
    assert Anchor.TOLD in anchors_in(f"x{mark}pin{mark}4821")


@pytest.mark.parametrize("form", KEY_FORMS)
@given(data=st.data())
@settings(max_examples=10)
def test_every_form_of_a_key_is_looked_for(form: str, data: st.DataObject) -> None:
    """The cheap pass over a text knows whatever a service may write as its key."""
    key = data.draw(st.from_regex(form, fullmatch=True, alphabet=st.characters(codec="ascii")))

    assert Anchor.SERVICE_KEY in anchors_in(f"x {key} y")


def test_private_key_is_found_whole() -> None:
    """A block of PEM is one finding, from its first mark to its last."""
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIabc+/\n" * 5 + "-----END PRIVATE KEY-----"
    assert found(f"key:\n{key}\nend") == [("PRIVATE_KEY", key)]


def test_private_key_that_is_cut_off_is_found_to_the_end() -> None:
    """Without its end mark the rest of the text counts as key."""
    text = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIabc+/\n" * 5
    [(entity_type, value)] = found(text)
    assert entity_type == "PRIVATE_KEY"
    assert value == text.rstrip()


def test_findings_carry_offsets_score_and_detector() -> None:
    """Offsets count characters, also behind characters of several bytes."""
    text = "Grüße 😀 ann@acme.example"
    [finding] = MASKER.find(text)
    assert text[finding.start : finding.end] == "ann@acme.example"
    assert 0.5 <= finding.score <= 1
    assert finding.detector == "email"


def test_findings_do_not_overlap_and_are_in_order() -> None:
    """Where patterns meet, one finding stays."""
    text = "GB29NWBK60161331926819 4111111111111111 postgres://ann:pw@acme.example/x 202-555-0147 ann@acme.example"
    findings = MASKER.find(text)
    assert [finding.entity_type for finding in findings] == [
        "IBAN_CODE",
        "CREDIT_CARD",
        "URL",
        "PHONE_NUMBER",
        "EMAIL_ADDRESS",
    ]
    assert all(a.end <= b.start for a, b in pairwise(findings))
