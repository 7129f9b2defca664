"""Made-up people: names of many kinds, reserved telephone numbers, `.example` addresses, published test cards."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from benchmarks.tool_results.planted import Planted

_GIVEN = (
    "Anna Luis Miriam Tom Aoife Björn Chloé Dmitri Emeka Fatima Giulia Hannah Ingrid João Karim Lena Mateusz Noor Olga Pedro"
    " Quentin Rosa Søren Thandi Ursula Viktor Wanjiru Xavier Yuki Zainab María José Jean-Luc Mary Ann Siobhán Łukasz Çağla"
    " Aarav Priya Wei Min-jun Abdul Rahman Kwame"
).split()
_FAMILY = (
    "Kowalska|García|O'Brien|van der Berg|Müller|Dubois|Nguyen|Okafor|Rossi|Schäfer|Lindqvist|Ferreira da Silva|Haddad|Novák"
    "|Petrova|Sánchez López|Taylor|Smith|Brown|Jones|Walker|Young|Hill|Baker|Stone|Rose|Park|Lee|Chen|Singh|Patel|Kim|Tanaka"
    "|Yılmaz|Weiß|De la Cruz|MacDonald|Fitzgerald|Ben Ali|Al-Farsi|Mbeki|Söderström|Saint-Pierre|Nowak-Wójcik"
).split("|")
_OTHER_WRITING = ("李伟", "Иван Петров", "山田 太郎", "김민준", "محمد علي", "Ελένη Παππά")
_STREETS = (
    (
        "{n} {w} Street",
        "{n} {w} Rd.",
        "{n} {w} Avenue, Apt {u}",
        "{n}-{u} {w} Lane",
        "Flat {u}, {n} {w} Close",
        "PO Box {n}",
    ),
    ("{w}straße {n}", "{w}weg {n}a", "Am {w} {n}"),
    ("{n} rue de {w}", "{n} bis avenue {w}"),
    ("Calle {w} {n}, {u}º B", "Avenida {w} {n}"),
)
_WORDS = "Mill Elm Station Garden Linden Castle River Harbour Church Maple Orchard Kirchen Rosen Victor Lavande Olmo Mayor".split()
_PLACES = (
    (("Springfield", "{d}{d}{d}{d}{d}"), ("Milltown", "{d}{d}{d}{d}{d}-{d}{d}{d}{d}"), ("Ashby", "AB{d} {d}CD")),
    (("Neustadt", "{d}{d}{d}{d}{d}"), ("Bad Altdorf", "{d}{d}{d}{d}{d}")),
    (("Villeneuve", "{d}{d}{d}{d}{d}"), ("Saint-Martin", "{d}{d}{d}{d}{d}")),
    (("Villanueva", "{d}{d}{d}{d}{d}"), ("San Pedro", "{d}{d}{d}{d}{d}")),
)
_PHONES = (
    "+1 202 555 01{d}{d}", "(202) 555-01{d}{d}", "202-555-01{d}{d}", "+44 7700 900{d}{d}{d}", "07700 900{d}{d}{d}",
    "+33 1 99 00 {d}{d} {d}{d}",
    "01 99 00 {d}{d} {d}{d}", "+49 30 23125 {d}{d}{d}", "030/23125{d}{d}{d}", "+34 600 000 {d}{d}{d}", "+120255501{d}{d}",
)  # fmt: skip
_CARDS = ("4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011111111111117")


@dataclass(frozen=True)
class Person:
    """One made-up person. Each method plants a value; what differs from call to call is drawn anew."""

    random: Random
    given_name: str
    family_name: str
    country: int

    @classmethod
    def new(cls, random: Random) -> Person:
        """Somebody."""
        return cls(random, random.choice(_GIVEN), random.choice(_FAMILY), random.randrange(4))

    def given(self) -> Planted:
        """The first name."""
        return Planted("PERSON", self.given_name)

    def family(self) -> Planted:
        """The last name."""
        return Planted("PERSON", self.family_name)

    def initial(self) -> Planted:
        """A middle name."""
        return Planted("PERSON", self.random.choice(_GIVEN))

    def full(self) -> Planted:
        """The whole name, as systems write it."""
        both = f"{self.given_name} {self.family_name}"
        written = [both] * 8 + [
            both.upper(),
            f"{self.family_name}, {self.given_name}",
            f"Dr. {both}",
            f"{self.given_name} {self.family_name[0]}.",
        ]
        return Planted("PERSON", self.random.choice([*written, self.random.choice(_OTHER_WRITING)]))

    def known_as(self) -> Planted:
        """First and last name, never turned around."""
        return Planted("PERSON", f"{self.given_name} {self.family_name}")

    def email(self) -> Planted:
        """An address under .example."""
        host = self.random.choice(("mail", "post", "acme", "uni"))
        letters = "".join(
            c for c in f"{self.given_name}.{self.family_name}".lower() if c.isascii() and (c.isalpha() or c == ".")
        )
        return Planted("EMAIL_ADDRESS", f"{letters.strip('.') or 'someone'}{self.random.randrange(100)}@{host}.example")

    def phone(self) -> Planted:
        """A number that is reserved for fiction."""
        return Planted("PHONE_NUMBER", self._digits(self.random.choice(_PHONES)))

    def house(self) -> Planted:
        """The number of a house."""
        return Planted("ADDRESS", str(self.random.randrange(1, 400)))

    def street_name(self) -> Planted:
        """The name of a street alone."""
        kind = (" Street", "straße", "", " Mayor")[self.country]
        return Planted("ADDRESS", f"{self.random.choice(_WORDS)}{kind}")

    def street(self) -> Planted:
        """Street and number."""
        return Planted("ADDRESS", self._street())

    def unit(self) -> Planted:
        """A second line of an address."""
        return Planted(
            "ADDRESS", self.random.choice(("Apt 4B", "Floor 2", "c/o Lindqvist", "Hinterhaus", "Bâtiment C", "2º izq."))
        )

    def city(self) -> Planted:
        """A town."""
        return Planted("CITY", self._place()[0])

    def postcode(self) -> Planted:
        """A postal code."""
        return Planted("ZIP_CODE", self._place()[1])

    def address(self, between: str = ", ") -> Planted:
        """A whole address in one text."""
        city, code = self._place()
        last = f"{city}, {code}" if self.country == 0 else f"{code} {city}"
        return Planted("ADDRESS", f"{self._street()}{between}{last}")

    def born(self) -> Planted:
        """A date of birth."""
        year, month, day = self.random.randrange(1935, 2007), self.random.randrange(1, 13), self.random.randrange(1, 29)
        form = self.random.choice(
            ("{y}-{m:02}-{d:02}",) * 4 + ("{m:02}/{d:02}/{y}", "{d:02}.{m:02}.{y}", "{y}{m:02}{d:02}")
        )
        return Planted("DATE_OF_BIRTH", form.format(y=year, m=month, d=day))

    def iban(self) -> Planted:
        """A right IBAN of a bank that does not exist."""
        body = "99999999" + self._digits("{d}" * 10)
        check = 98 - int(body + "131400") % 97
        return Planted("IBAN_CODE", f"DE{check:02}{body}")

    def card(self) -> Planted:
        """A card number that is published for testing."""
        return Planted("CREDIT_CARD", self.random.choice(_CARDS))

    def account(self) -> Planted:
        """A bank account, as a number or as text."""
        return Planted("ACCOUNT_ID", self._digits("1{d}{d}{d}{d}{d}{d}{d}"), number=self.random.random() < 0.3)

    def customer(self) -> Planted:
        """A customer's number."""
        return Planted(
            "CUSTOMER_ID",
            self._digits(self.random.choice(("C-{d}{d}{d}{d}{d}", "cus_{d}{d}X{d}{d}k{d}{d}", "10{d}{d}{d}{d}{d}"))),
        )

    def ssn(self) -> Planted:
        """A number that was taken out of use when it was printed in advertisements."""
        return Planted("US_SSN", self.random.choice(("078-05-1120", "219-09-9999")))

    def password(self) -> Planted:
        """A weak one."""
        return Planted("PASSWORD", self._digits(self.random.choice(("hunter{d}!", "Sommer20{d}{d}", "tr0ub4dor&{d}"))))

    def _street(self) -> str:
        form = self.random.choice(_STREETS[self.country])
        return form.format(
            n=self.random.randrange(1, 400), w=self.random.choice(_WORDS), u=self.random.randrange(1, 30)
        )

    def _place(self) -> tuple[str, str]:
        city, code = self.random.choice(_PLACES[self.country])
        return city, self._digits(code)

    def _digits(self, form: str) -> str:
        while "{d}" in form:
            form = form.replace("{d}", str(self.random.randrange(10)), 1)
        return form
