"""Names of fields in four languages and all case styles, and names of things that are like them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.masking import words
from agentguard.masking.phrases import meaning_of
from agentguard.masking.whole_names import WHOLE
from tests.masking.samples import IDS, MASKER

NAMED = {
    "PERSON": (
        "Anna Kowalska",
        """
        full name, first name, last name, given name, family name, surname, middle name, maiden name,
        customer name, client name, patient name, employee name, employee full name, contact name, account
        holder, account holder name, cardholder name, card holder name, name on card, beneficiary name,
        recipient name, sender name, receiver name, guest name, passenger name, student name, teacher name,
        doctor name, physician name, primary physician, attending physician, owner name, member name,
        applicant name, tenant name, landlord name, insured name, policy holder name, payee name, payer
        name, buyer name, seller name, author name, manager name, supervisor name, line manager name,
        shipping name, ship to name, bill to name, billing name, billing contact name, emergency contact
        name, spouse name, father name, mother maiden name, next of kin name, attendee name, participant
        name, candidate name, driver name, user full name, legal first name, legal last name, preferred
        first name, nick name, alias full name, signed by name, reporter name, assignee name, requester
        name, approver name, referred by name, agent full name, sales rep name, staff name, representative
        name, witness name, plaintiff name, defendant name, victim name, suspect name, caller name, callee
        name, subscriber name, lead name, prospect name, donor name, volunteer name, coach name, player
        name, parent name, guardian name, child name, partner name, interviewer name, candidate full name,
        investor name, director name, shareholder name, founder name, trainer name, vorname, nachname,
        familienname, geburtsname, kunde name, kundenname, mitarbeiter name, ansprechpartner, kontoinhaber,
        empfänger name, absender name, patient nachname, versicherungsnehmer, mieter name, vermieter name,
        bewerber name, schüler name, fahrer name, halter name, vollständiger name, prénom, nom de famille,
        nom complet, nom du client, nom patient, nom de jeune fille, nom employé, nom du contact, nom du
        titulaire, nom expéditeur, nom destinataire, prénom usuel, nom et prénom, nombre completo, nombre,
        primer nombre, apellidos, apellido paterno, apellido materno, nombre del cliente, nombre del
        paciente, nombre del empleado, nombre titular, nombre de contacto, nombre destinatario, nombre
        remitente, nombre y apellidos
        """,
    ),
    "ADDRESS": (
        "12 Mill Lane",
        """
        address, street, street address, street name, address line 1, address line 2, address1, address2,
        addr line 1, home address, work address, mailing address, postal address, billing address, shipping
        address, delivery address, residential address, permanent address, current address, registered
        address, billing street, shipping street 1, mailing street, contact address, street line 1, street1,
        customer address, patient address, property address, pickup address, drop off address, adresse,
        anschrift, straße, strasse hausnummer, lieferadresse, rechnungsadresse, wohnadresse, postanschrift,
        rechnungsanschrift, lieferanschrift straße, rue, adresse postale, adresse de livraison, adresse de
        facturation, adresse domicile, adresse ligne 1, numéro et rue, dirección, calle, domicilio,
        dirección de envío, dirección de facturación, dirección postal, calle y número, dirección particular
        """,
    ),
    "DATE_OF_BIRTH": (
        "1980-02-29",
        """
        date of birth, dob, birth date, birthdate, birthday, birth day, patient dob, customer date of birth,
        birth dt, member dob, geburtsdatum, geburtstag, geb datum, geboren am, date de naissance, date
        naissance, fecha de nacimiento, fecha nacimiento, fecha nac, nacimiento, child birth date, spouse
        dob, insured dob
        """,
    ),
    "PHONE_NUMBER": (
        "2025550147",
        """
        phone, phone number, telephone, mobile, mobile number, mobile phone, cell, cell phone, home phone,
        work phone, office phone, fax, fax number, contact number, contact phone, phone 1, phone2, primary
        phone, secondary phone, emergency phone, emergency contact phone, day phone, evening phone, customer
        phone, billing phone, shipping phone, whatsapp number, sms number, caller number, callback number,
        tel, tel no, telefon, telefonnummer, handy, handynummer, mobilnummer, mobiltelefon, rufnummer,
        festnetz, telefax, telefon privat, telefon geschäftlich, téléphone, numéro de téléphone, portable,
        tél mobile, téléphone portable, téléphone fixe, teléfono, número de teléfono, móvil, celular,
        teléfono móvil, teléfono fijo, teléfono de contacto, tel contacto
        """,
    ),
    "EMAIL_ADDRESS": (
        "ann@acme.example",
        """
        email, e mail, email address, contact email, work email, personal email, user email, customer email,
        billing email, recovery email, secondary email, mail, mail address, e mail adresse, mailadresse,
        courriel, adresse email, adresse électronique, correo, correo electrónico, dirección de correo,
        email principal
        """,
    ),
    "ACCOUNT_ID": (
        "AC-10045871",
        """
        account id, account number, account no, acct number, acct no, bank account, bank account number,
        from account, to account, debit account, credit account number, kontonummer, konto nr, numéro de
        compte, compte bancaire, número de cuenta, cuenta bancaria, source account id, beneficiary account
        number, checking account number, savings account number, iban or account number
        """,
    ),
    "CUSTOMER_ID": (
        "C-88123",
        """
        customer id, customer number, customer no, client number, member id, member number, membership
        number, cust id, patron id, subscriber id, kundennummer, kunden nr, kunden id, numéro client, id
        client, número de cliente, id cliente, loyalty number, frequent flyer number, loyalty card number,
        policyholder id
        """,
    ),
    "PASSWORD": (
        "hunter2x!",
        """
        password, passwd, pwd, user password, db password, admin password, new password, old password,
        passphrase, login password, root password, smtp password, passwort, kennwort, mot de passe,
        contraseña, clave de acceso, password hash, temp password, wifi password, keystore password, ldap
        bind password, ftp password
        """,
    ),
    "API_KEY": (
        "q7Zk2XwP9sLf4TbN8vRm3YcH6dJg1K",
        """
        api key, apikey, access key, secret key, client secret, app secret, auth token, access token,
        refresh token, bearer token, id token, session token, private key, api token, api secret, signing
        key, webhook secret, encryption key, x api key, personal access token, token, secret, stripe secret
        key, aws secret access key, azure client secret, github token, slack bot token, openai api key, jwt
        secret, cookie secret, session secret, csrf token, security token, auth key, master key, license
        key, service account key, oauth token, oauth client secret, deploy token, bot token, device token,
        push token, fcm token, registration token, verification token, reset token, password reset token,
        invite token, magic link token, api credential, x auth token, authorization, shared access key,
        connection string
        """,
    ),
    "US_SSN": (
        "536-22-1234",
        """
        ssn, social security number, social security no, ss number, ssn last 4, applicant ssn, spouse ssn,
        social
        """,
    ),
    "NATIONAL_ID": (
        "12345678Z",
        """
        national id, national id number, identity number, identity card number, id card number, personal id,
        personal number, citizen id, government id, passport or id number, dni, nie, nif cliente, pesel,
        bsn, aadhaar number, cpf, curp, rut, personalausweisnummer, ausweisnummer,
        sozialversicherungsnummer, numéro de sécurité sociale, numéro sécu, número de identidad, número de
        documento, documento de identidad, cédula
        """,
    ),
    "PASSPORT": (
        "X1234567",
        """
        passport, passport number, passport no, passport id, travel document number, reisepassnummer,
        passnummer, numéro de passeport, número de pasaporte, pasaporte, passeport
        """,
    ),
    "DRIVER_LICENSE": (
        "D1234567",
        """
        driver license, drivers license number, driving licence number, driver license no, dl number, driver
        licence, führerscheinnummer, führerschein nr, permis de conduire, numéro permis de conduire,
        licencia de conducir, permiso de conducir, carnet de conducir
        """,
    ),
    "CREDIT_CARD": (
        "4111111111111112",
        """
        card number, credit card number, cc number, card no, credit card, debit card number, pan,
        kartennummer, kreditkartennummer, numéro de carte, numéro carte bancaire, número de tarjeta, tarjeta
        de crédito, payment card number, card num
        """,
    ),
    "CVV": (
        "123",
        """
        cvv, cvc, cvv2, security code, card security code, card cvc, prüfnummer, kartenprüfnummer,
        cryptogramme, código de seguridad
        """,
    ),
    "MEDICAL_RECORD_NUMBER": (
        "MRN-88123",
        """
        mrn, medical record number, patient id, patient number, medical record no, chart number, hospital
        number, patientennummer, patienten id, numéro de dossier médical, numéro patient, historia clínica,
        número de historia clínica, health record number, patient mrn
        """,
    ),
    "EMPLOYEE_ID": (
        "E-10423",
        """
        employee id, employee number, employee no, staff id, staff number, personnel number, emp id, badge
        number, worker id, payroll number, personalnummer, mitarbeiter id, mitarbeiternummer, matricule,
        numéro employé, número de empleado, id empleado, legajo
        """,
    ),
    "TAX_ID": (
        "12/345/67890",
        """
        tax id, tax number, taxpayer id, tin, steuernummer, steuer id, steueridentifikationsnummer, numéro
        fiscal, número fiscal, tax identification number, personal tax id
        """,
    ),
    "LICENSE_PLATE": (
        "AB51 DVL",
        """
        license plate, licence plate, plate number, number plate, vehicle plate, kennzeichen, kfz
        kennzeichen, plaque immatriculation, immatriculation, matrícula, placa, vehicle registration number,
        registration plate
        """,
    ),
    "IP_ADDRESS": (
        "203.0.113.7",
        """
        ip, ip address, client ip, remote ip, source ip, user ip, last login ip, remote addr, ip addr, peer
        ip, x forwarded for, signup ip
        """,
    ),
    "IBAN_CODE": (
        "DE88370400440532013000",
        """
        iban, iban number, bank iban, creditor iban, debtor iban, iban code, beneficiary iban, payout iban
        """,
    ),
    "BIC": (
        "DEUTDEFF",
        """
        bic, swift code, bic code, swift bic, bank bic, swift
        """,
    ),
}
"""An entity type, a value of it, and names of fields that hold one."""

BESIDE: dict[str, dict[str, str]] = {
    "PERSON": {"email": "x@mail.example"},
    "BIC": {"iban": "DE89370400440532013000"},
    "TAX_ID": {"full_name": "Ann Lee"},
}
"""What stands beside some of them, since companies and things have such fields too."""


def styles(phrase: str) -> Iterator[str]:
    """The ways in which a field of these words is written; two words as one as well."""
    parts = phrase.split()
    yield from ("_".join(parts), "-".join(parts), ".".join(parts), phrase.title(), "_".join(parts).upper())
    yield "".join(part.capitalize() for part in parts)
    yield parts[0] + "".join(part.capitalize() for part in parts[1:])
    yield from ["".join(parts)] * (len(parts) == 2 and phrase not in PARTED)


PARTED = (
    "nom employé, nom expéditeur, nom destinataire, nombre destinatario, nombre remitente, lieferanschrift straße, tel contacto"
    ", whatsapp number"
).split(", ")
"""What nobody writes as one word."""


def missed(entity_type: str, phrase: str, value: str) -> list[str]:
    """The ways of writing a field's name in which its value stays in clear."""
    beside = BESIDE.get(entity_type, {})
    return [name for name in styles(phrase) if MASKER.mask({**beside, name: value}, IDS).value[name] == value]


@pytest.mark.parametrize("entity_type", NAMED)
def test_fields_are_known_by_their_names(entity_type: str) -> None:
    """English, German, French and Spanish; snake, camel, Pascal and kebab case, capitals, dots, and words written as one."""
    value, phrases = NAMED[entity_type]
    names = [" ".join(phrase.split()) for phrase in phrases.split(",")]
    assert [name for phrase in names for name in missed(entity_type, phrase, value)] == []


@pytest.mark.parametrize("entity_type", ["PERSON", "ADDRESS", "PHONE_NUMBER", "EMAIL_ADDRESS", "ACCOUNT_ID"])
@pytest.mark.parametrize("form", ["primary_{}", "{}s", "{}_2", "customer.{}", "old{}Value", "x_{}_c"])
def test_prefixes_plurals_and_numbers_change_nothing(entity_type: str, form: str) -> None:
    """What stands before or behind the words that tell."""
    name, value = {
        "PERSON": ("first_name", "Anna"),
        "ADDRESS": ("street_address", "12 Mill Lane"),
        "PHONE_NUMBER": ("phone_number", "2025550147"),
        "EMAIL_ADDRESS": ("email_address", "ann@mail.example"),
        "ACCOUNT_ID": ("account_number", "10045871"),
    }[entity_type]
    field = form.format("".join(part.capitalize() for part in name.split("_")) if "old" in form else name)
    assert entity_type in MASKER.mask({field: value}, IDS).entities


THINGS: list[dict[str, Any]] = [
    {"id": 42, "name": "report.pdf", "size": 1234, "mime_type": "application/pdf"},
    {"name": "Alpha Release", "version": "1.2.3", "license": "MIT"},
    {"tool": {"name": "Send Email", "description": "Sends mail", "parameters": {"type": "object"}}},
    {"name": "search_customers", "description": "Find a customer by name", "input_schema": {"type": "object"}},
    {"product": {"id": 7, "name": "Mill Lamp", "price": 12.5, "currency": "EUR", "sku": "ML-1"}},
    {"products": [{"name": "Garden Chair", "brand": "Nordic Home", "category": "Furniture"}]},
    {"company": {"name": "Acme Robotics", "industry": "Manufacturing", "employees": 200}},
    {
        "company_name": "Acme Robotics",
        "vendor_name": "Blue Falcon Systems",
        "supplier_name": "Nord Parts",
        "brand_name": "Acme",
        "store_name": "Main Street Books",
    },
    {"organization": {"name": "Data Science", "id": "org-1"}},
    {"team": {"name": "Platform Team", "slug": "platform"}},
    {"repository": {"name": "agent guard", "full_name": "acme/agent-guard", "owner": {"login": "acme", "id": 1}}},
    {"branch_name": "feature/login", "commit": "9fceb02", "file_name": "Main Page.tsx"},
    {"hostname": "db-1", "server_name": "web-3", "cluster_name": "Prod East", "node_name": "node 7"},
    {"table_name": "customers", "column_name": "email", "index_name": "idx_email", "schema_name": "public"},
    {"event": {"name": "Page Viewed", "category": "web", "timestamp": 1700000000}},
    {
        "event_name": "Button Clicked",
        "class_name": "UserService",
        "method_name": "getUser",
        "function_name": "find_user",
    },
    {
        "project_name": "Big Move",
        "campaign_name": "Summer Sale",
        "segment_name": "Loyal Buyers",
        "audience_name": "New Users",
    },
    {"city": "Paris", "country": "France", "temperature": 21.5},
    {"city_name": "Berlin", "population": 3700000, "timezone": "Europe/Berlin"},
    {"station": {"name": "Gare du Nord", "city": "Paris", "lines": 4}},
    {"hotel": {"name": "Grand Plaza", "stars": 4, "city": "Rome"}},
    {"restaurant_name": "Chez Paul", "cuisine": "French", "rating": 4.5},
    {"airport": {"code": "CDG", "name": "Charles de Gaulle", "city": "Paris"}},
    {"address": "0x7fff5fbff8c0", "size": 64},
    {"memory_address": "0x1f", "mac_address_table": 3},
    {"ip_version": 4, "ip_address_family": "ipv4"},
    {"email_template": "Welcome Letter", "email_count": 4, "email_verified": True, "phone_verified": False},
    {"phone_type": "mobile", "address_type": "home", "name_type": "legal", "email_type": "work"},
    {"password_policy": "strong", "password_expires_in_days": 90, "password_required": True, "password_min_length": 12},
    {"token_count": 1532, "tokens_used": 1532, "max_tokens": 4096, "token_type": "bearer", "token_limit": 8000},
    {"key": "name", "value": "Acme Robotics", "label": "Company"},
    {"first": 1, "last": 10, "total": 120, "next": None},
    {"first_page": 1, "last_page": 9, "first_item": "apple", "last_item": "pear"},
    {"last": "99.5", "open": "98.2", "high": "101"},
    {"last_name_changed": False, "name_required": True},
    {"status": "active", "state": "running", "owner": "platform-team", "assignee": None},
    {"author": "system", "created_by": "cron", "updated_by": "api-gateway"},
    {"user": "root", "host": "web-1", "shell": "/bin/bash"},
    {"user_agent": "Mozilla/5.0 (X11; Linux x86_64)", "referrer": "https://acme.example/"},
    {"birth_rate": 1.5, "death_rate": 1.2, "year": 2019},
    {"date": "2024-05-01", "created_at": "2024-05-01T10:00:00Z", "due_date": "2024-06-01", "hire_count": 3},
    {"account_type": "checking", "account_status": "open", "account_count": 2, "accounts": 3},
    {"customer_count": 120, "customer_type": "retail", "customer_segment": "gold", "customer_since": "2019-01-01"},
    {"patient_count": 12, "patients_per_day": 44},
    {
        "order_id": 1042,
        "order_number": "SO-10042",
        "invoice_number": "INV-2024-001",
        "tracking_number": "1Z999AA10123456784",
    },
    {"ticket_id": "T-1042", "issue_key": "PROJ-12", "pr_number": 17, "build_number": 20240501},
    {
        "sku": "AB-1042",
        "upc": "036000291452",
        "ean": "4006381333931",
        "isbn": "978-3-16-148410-0",
        "asin": "B00005N5PF",
    },
    {"lat": 48.8566, "lng": 2.3522, "city": "Paris", "temp": 20},
    {"latitude": 40.7, "longitude": -74.0, "elevation": 10},
    {"id": "550e8400-e29b-41d4-a716-446655440000", "uuid": "550e8400-e29b-41d4-a716-446655440001", "guid": "x"},
    {"title": "Senior Engineer", "department": "Data Platform", "location": "Remote"},
    {"titles": ["Blue Moon", "Red River"], "artist": "Various", "album": "Best Of"},
    {"song": {"title": "Yellow Door", "duration": 201, "genre": "rock"}},
    {"course_name": "Linear Algebra", "school_name": "North High", "class": "10b"},
    {"language": "French", "locale": "fr-FR", "currency": "EUR"},
    {"model": {"name": "gpt-5", "provider": "OpenAI"}, "model_name": "Claude Opus"},
    {
        "metric_name": "Cpu Load",
        "dashboard_name": "Ops Overview",
        "alert_name": "High Latency",
        "job_name": "Nightly Build",
    },
    {"device_name": "Living Room Lamp", "device_id": "d-1", "room": "Kitchen"},
    {"bank_name": "First National", "branch": "Main", "bank_code": "37040044"},
    {"policy_name": "Default Deny", "rule_name": "Block All", "role_name": "Data Steward", "group_name": "On Call"},
    {
        "key_name": "Primary Key",
        "bucket_name": "raw data",
        "queue_name": "Orders In",
        "topic_name": "User Events",
        "stream_name": "Clicks",
    },
    {"license": "Apache-2.0", "license_name": "Apache License", "license_count": 3},
    {"plate_count": 3, "passport_required": True, "visa_type": "B1"},
    {"secret_name": "db-credentials", "secret_arn": "arn:aws:secretsmanager:x", "secrets_count": 2},
    {"api_key_name": "ci", "api_key_id": "ak-12", "access_level": "read", "access_mode": "rw"},
    {"pin_count": 8, "gpio_pin": 4, "pin_x": 3},
    {"cell": "B12", "cell_value": "Total", "mobile_friendly": True},
    {"text": "Hello World", "value": "Big Sale", "data": "Green Apple", "content": "Red Car"},
    {"contact_count": 3, "contacts_synced": True, "contact_form": "Website Form"},
    {"member_count": 12, "members": 3, "role": "admin"},
    {"address_count": 2, "addresses_validated": 1, "ip_count": 3},
    {"street_view_url": "https://maps.example/x", "postal_code_required": True},
    {"street_type": "Avenue", "house_type": "Detached", "city_count": 3},
    {"birthplace_known": False, "gender_ratio": 0.5},
    {"salary_range": "50k-60k", "job_title": "Data Analyst", "job_family": "Analytics"},
    {"sender_score": 98, "recipient_count": 10, "reply_to_message_id": "m-1"},
    {"agent": {"name": "Support Bot", "version": "2"}},
    {"tools": [{"name": "Web Search"}, {"name": "Code Runner"}]},
    {"name": "Red Door", "color": "red", "material": "wood"},
    {"names": ["alpha", "beta"]},
    {"variables": [{"name": "Max Speed", "unit": "km/h"}]},
    {"error": {"name": "Type Error", "message": "x is not a function"}},
    {"nom": "Chaise Longue", "prix": 30, "quantité": 2},
    {"nombre": "Silla Roja", "precio": 30, "cantidad": 2},
    {"bezeichnung": "Roter Stuhl", "preis": 30, "menge": 2, "artikelnummer": "A-1042"},
    {"nom_fichier": "rapport final.pdf", "nombre_archivo": "informe final.pdf", "dateiname": "Bericht Neu.pdf"},
    {
        "nom_produit": "Lampe Bleue",
        "nombre_producto": "Mesa Alta",
        "produktname": "Blaue Lampe",
        "firmenname": "Nord Teile",
        "nombre_empresa": "Casa Verde",
        "nom_societe": "Maison Bleue",
    },
]
"""Files, tools, products, companies, places and counters."""


@pytest.mark.parametrize("value", THINGS, ids=lambda value: "-".join(value)[:40])
def test_names_and_numbers_of_things_raise_no_alarm(value: dict[str, Any]) -> None:
    """As values and as JSON text they stay what they are."""
    assert MASKER.mask(value, IDS).value is value
    assert MASKER.find(json.dumps(value)) == []


@given(st.lists(st.sampled_from(sorted({*WHOLE, *words.ROLES, *words.RANDOM, *words.NAMES})), min_size=1, max_size=4))
def test_any_words_written_as_one_are_read_in_the_end(parts: list[str]) -> None:
    """Taking words apart always ends."""
    assert meaning_of("".join(parts).replace(" ", "")).kind
