"""Sources that were written before any field name was added for these figures, and whose misses were never looked at."""

from __future__ import annotations

from random import Random
from typing import Any

from benchmarks.tool_results.people import Person
from benchmarks.tool_results.records import Source


def square_customer(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": f"JDKYHBWT1D4F8MFH63DBMEN8{r.randrange(99)}",
        "given_name": p.given(),
        "family_name": p.family(),
        "email_address": p.email(),
        "address": {
            "address_line_1": p.street(),
            "address_line_2": p.unit(),
            "locality": p.city(),
            "postal_code": p.postcode(),
            "country": "US",
        },
        "phone_number": p.phone(),
        "preferences": {"email_unsubscribed": False},
        "version": 1,
    }


def adyen_payment(p: Person, r: Random) -> dict[str, Any]:
    return {
        "pspReference": f"{r.randrange(10**15)}",
        "shopperName": {"firstName": p.given(), "lastName": p.family()},
        "shopperEmail": p.email(),
        "billingAddress": {
            "street": p.street_name(),
            "houseNumberOrName": p.house(),
            "city": p.city(),
            "postalCode": p.postcode(),
        },
        "paymentMethod": {"brand": "visa", "holderName": p.known_as()},
        "resultCode": "Authorised",
    }


def woocommerce_order(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": r.randrange(10**4),
        "status": "processing",
        "billing": {
            "first_name": p.given(),
            "last_name": p.family(),
            "address_1": p.street(),
            "city": p.city(),
            "postcode": p.postcode(),
            "phone": p.phone(),
        },
        "payment_method_title": "Direct Bank Transfer",
        "line_items": [{"name": "Woo Single", "product_id": 93, "total": "6.00"}],
    }


def intercom_contact(p: Person, r: Random) -> dict[str, Any]:
    return {
        "type": "contact",
        "role": "user",
        "name": p.known_as(),
        "phone": p.phone(),
        "email": p.email(),
        "location": {"type": "location", "country": "Ireland", "city": p.city()},
        "browser": "chrome",
        "os": "OS X 10.15.7",
    }


def mailchimp_member(p: Person, r: Random) -> dict[str, Any]:
    return {
        "email_address": p.email(),
        "status": "subscribed",
        "full_name": p.known_as(),
        "merge_fields": {
            "FNAME": p.given(),
            "LNAME": p.family(),
            "PHONE": p.phone(),
            "ADDRESS": {"addr1": p.street(), "city": p.city(), "zip": p.postcode()},
        },
        "list_id": "57afe96172",
    }


def fedex_party(p: Person, r: Random) -> dict[str, Any]:
    return {
        "shipper": {"contact": {"personName": p.known_as(), "phoneNumber": p.phone()}},
        "recipients": [
            {
                "contact": {"personName": p.known_as()},
                "address": {"streetLines": [p.street()], "city": p.city(), "postalCode": p.postcode()},
            }
        ],
        "serviceType": "PRIORITY_OVERNIGHT",
    }


def amadeus_traveler(p: Person, r: Random) -> dict[str, Any]:
    return {
        "travelers": [
            {
                "id": "1",
                "dateOfBirth": p.born(),
                "name": {"firstName": p.given(), "lastName": p.family()},
                "contact": {"emailAddress": p.email(), "phones": [{"number": p.phone(), "countryCallingCode": "34"}]},
            }
        ],
        "flightOffers": [{"id": "1", "source": "GDS", "validatingAirlineCodes": ["6X"]}],
    }


def sap_table(p: Person, r: Random) -> dict[str, Any]:
    return {
        "KUNNR": f"{r.randrange(10**10):010}",
        "NAME1": p.known_as(),
        "STRAS": p.street(),
        "PSTLZ": p.postcode(),
        "ORT01": p.city(),
        "LAND1": "DE",
        "TELF1": p.phone(),
    }


def dynamics_contact(p: Person, r: Random) -> dict[str, Any]:
    return {
        "contactid": "465b158c-541c-e511-80d3-3863bb347ba8",
        "fullname": p.known_as(),
        "firstname": p.given(),
        "lastname": p.family(),
        "emailaddress1": p.email(),
        "telephone1": p.phone(),
        "address1_line1": p.street(),
        "address1_city": p.city(),
        "address1_postalcode": p.postcode(),
        "birthdate": p.born(),
        "statecode": 0,
    }


def workday_worker(p: Person, r: Random) -> dict[str, Any]:
    return {
        "workerID": f"WD-{r.randrange(10**4)}",
        "legalName": {"firstName": p.given(), "lastName": p.family()},
        "personalInfo": {"birthDate": p.born(), "maritalStatus": "Single"},
        "homeContact": {
            "addressLine1": p.street(),
            "municipality": p.city(),
            "postalCode": p.postcode(),
            "phone": p.phone(),
        },
        "managerName": Person.new(r).known_as(),
        "position": "Analyst II",
    }


def asana_task(p: Person, r: Random) -> dict[str, Any]:
    return {
        "gid": str(r.randrange(10**8)),
        "name": "Write launch plan",
        "assignee": {"gid": "12345", "name": p.known_as(), "resource_type": "user"},
        "followers": [{"gid": "777", "name": Person.new(r).known_as(), "resource_type": "user"}],
        "projects": [{"gid": "99", "name": "Website relaunch", "resource_type": "project"}],
        "completed": False,
    }


def slack_user(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": f"U0{r.randrange(10**6)}",
        "team_id": "T012AB3C4",
        "real_name": p.known_as(),
        "tz": "Europe/Amsterdam",
        "profile": {
            "real_name_normalized": p.known_as(),
            "display_name": p.given(),
            "email": p.email(),
            "phone": p.phone(),
            "status_text": "in a meeting",
        },
        "is_bot": False,
    }


def lab_report(p: Person, r: Random) -> dict[str, Any]:
    return {
        "PatientName": p.full(),
        "PatientBirthDate": p.born(),
        "ReferringPhysicianName": Person.new(r).known_as(),
        "Modality": "MR",
        "StudyDescription": "Brain w/o contrast",
        "Analyte": "Glucose",
        "Result": 5.4,
    }


def tax_form(p: Person, r: Random) -> dict[str, Any]:
    return {
        "taxpayer_name": p.known_as(),
        "spouse_name": Person.new(r).known_as(),
        "taxpayer_ssn": p.ssn(),
        "residential_address": p.address(),
        "filing_status": "joint",
        "wages": r.randrange(10**5),
    }


def court_case(p: Person, r: Random) -> dict[str, Any]:
    return {
        "docket": f"2026-CV-{r.randrange(10**4)}",
        "plaintiff": p.known_as(),
        "defendant": Person.new(r).known_as(),
        "attorney_name": Person.new(r).known_as(),
        "mailing_address": p.address(),
        "judge": Person.new(r).known_as(),
        "filed": "2026-03-01",
    }


def address_book_german(p: Person, r: Random) -> dict[str, Any]:
    return {
        "anrede": "Herr",
        "name": p.family(),
        "vorname": p.given(),
        "strasse_hausnr": p.street(),
        "plz": p.postcode(),
        "wohnort": p.city(),
        "geb_datum": p.born(),
        "tel_privat": p.phone(),
        "bemerkung": "Stammkunde",
    }


HELD_OUT: tuple[Source, ...] = (
    square_customer, adyen_payment, woocommerce_order, intercom_contact, mailchimp_member, fedex_party, amadeus_traveler, sap_table,
    dynamics_contact, workday_worker, asana_task, slack_user, lab_report, tax_form, court_case, address_book_german,
)  # fmt: skip
