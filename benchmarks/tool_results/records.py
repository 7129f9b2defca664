"""Records as real systems name their fields: the sources that the field names of agentguard may be tuned on."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks.tool_results.people import Person

Source = Callable[[Person, Random], dict[str, Any]]


def _id(r: Random) -> str:
    return f"{r.randrange(16**12):012x}"


def _when(r: Random) -> str:
    return f"20{r.randrange(20, 27)}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}T{r.randrange(24):02}:{r.randrange(60):02}:00Z"


def salesforce(p: Person, r: Random) -> dict[str, Any]:
    return {
        "attributes": {"type": "Contact", "url": f"/services/data/v59.0/sobjects/Contact/{_id(r)}"},
        "Id": _id(r),
        "Salutation": "Ms.",
        "FirstName": p.given(),
        "LastName": p.family(),
        "Name": p.known_as(),
        "Title": "VP Operations",
        "MobilePhone": p.phone(),
        "Email": p.email(),
        "MailingStreet": p.street(),
        "MailingCity": p.city(),
        "MailingPostalCode": p.postcode(),
        "MailingCountry": "Germany",
        "Birthdate": p.born(),
        "LeadSource": "Web",
        "CreatedDate": _when(r),
    }


def hubspot(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": str(r.randrange(10**6)),
        "properties": {
            "createdate": _when(r),
            "firstname": p.given(),
            "lastname": p.family(),
            "email": p.email(),
            "mobilephone": p.phone(),
            "address": p.street(),
            "city": p.city(),
            "zip": p.postcode(),
            "date_of_birth": p.born(),
            "lifecyclestage": "lead",
            "company": "Acme GmbH",
            "hs_object_id": str(r.randrange(10**9)),
        },
        "archived": False,
    }


def stripe_customer(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": f"cus_{_id(r)}",
        "object": "customer",
        "address": {
            "line1": p.street(),
            "line2": p.unit(),
            "city": p.city(),
            "postal_code": p.postcode(),
            "country": "DE",
        },
        "balance": 0,
        "created": 1700000000 + r.randrange(10**7),
        "currency": "eur",
        "delinquent": False,
        "email": p.email(),
        "invoice_prefix": "A1B2C3D",
        "name": p.known_as(),
        "phone": p.phone(),
        "shipping": {
            "name": p.known_as(),
            "address": {"line1": p.street(), "city": p.city(), "postal_code": p.postcode()},
        },
    }


def stripe_charge(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": f"ch_{_id(r)}",
        "amount": r.randrange(100, 10**6),
        "billing_details": {
            "address": {"city": p.city(), "line1": p.street(), "postal_code": p.postcode()},
            "email": p.email(),
            "name": p.known_as(),
        },
        "description": "Subscription update",
        "outcome": {"network_status": "approved_by_network", "risk_score": 12, "seller_message": "Payment complete."},
        "receipt_email": p.email(),
        "status": "succeeded",
    }


def shopify_order(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": 450789469 + r.randrange(10**6),
        "name": f"#{r.randrange(1000, 9999)}",
        "contact_email": p.email(),
        "total_price": "199.00",
        "billing_address": {
            "first_name": p.given(), "address1": p.street(), "phone": p.phone(), "city": p.city(), "zip": p.postcode(),
            "last_name": p.family(), "address2": p.unit(), "company": None, "name": p.known_as(), "province_code": "ON",
        },
        "customer": {"first_name": p.given(), "last_name": p.family(), "state": "disabled", "tags": ""},
        "line_items": [{"name": "Desk lamp - green", "sku": "LMP-GRN", "title": "Desk lamp", "vendor": "Lumen", "quantity": 1}],
    }  # fmt: skip


def zendesk_ticket(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": r.randrange(10**6),
        "subject": "Printer on fire",
        "via": {
            "channel": "email",
            "source": {"from": {"address": p.email(), "name": p.known_as()}, "to": {"name": "Support"}},
        },
        "requester": {"name": p.known_as(), "email": p.email(), "locale_id": 8},
        "status": "open",
        "priority": "high",
        "tags": ["printer", "fire"],
        "updated_at": _when(r),
    }


def jira_issue(p: Person, r: Random) -> dict[str, Any]:
    other = Person.new(r)
    return {
        "key": f"OPS-{r.randrange(1000)}",
        "fields": {
            "summary": "Login fails after update",
            "assignee": {
                "accountId": f"5b10a2844c20165700ede{r.randrange(999)}",
                "displayName": p.known_as(),
                "emailAddress": p.email(),
                "active": True,
            },
            "reporter": {"displayName": other.known_as(), "timeZone": "Europe/Berlin"},
            "status": {"name": "In Progress", "id": "3"},
            "project": {"key": "OPS", "name": "Operations"},
            "priority": {"name": "Major"},
        },
    }


def github_user(p: Person, r: Random) -> dict[str, Any]:
    return {
        "login": "octo-dev",
        "id": r.randrange(10**7),
        "type": "User",
        "site_admin": False,
        "name": p.known_as(),
        "company": "@acme",
        "email": p.email(),
        "public_repos": 8,
        "followers": 20,
        "created_at": _when(r),
    }


def github_commit(p: Person, r: Random) -> dict[str, Any]:
    return {
        "sha": f"{r.randrange(16**40):040x}",
        "commit": {
            "author": {"name": p.known_as(), "email": p.email(), "date": _when(r)},
            "committer": {"name": "GitHub", "email": p.email(), "date": _when(r)},
            "message": "Fix off-by-one in pager",
        },
        "parents": [],
    }


def google_person(p: Person, r: Random) -> dict[str, Any]:
    return {
        "resourceName": f"people/c{r.randrange(10**12)}",
        "names": [{"displayName": p.known_as(), "familyName": p.family(), "givenName": p.given()}],
        "emailAddresses": [{"value": p.email(), "type": "home"}],
        "phoneNumbers": [{"value": p.phone(), "canonicalForm": p.phone(), "type": "mobile"}],
        "addresses": [
            {"formattedValue": p.address(), "streetAddress": p.street(), "city": p.city(), "postalCode": p.postcode()}
        ],
        "birthdays": [{"text": p.born(), "date": {"year": 1980}}],
    }


def google_event(p: Person, r: Random) -> dict[str, Any]:
    other = Person.new(r)
    return {
        "kind": "calendar#event",
        "id": _id(r),
        "summary": "Quarterly review",
        "creator": {"email": p.email(), "displayName": p.known_as()},
        "organizer": {"email": p.email(), "self": True},
        "start": {"dateTime": _when(r)},
        "attendees": [{"email": other.email(), "displayName": other.known_as(), "responseStatus": "accepted"}],
        "hangoutLink": "https://meet.example/abc-defg-hij",
    }


def gmail_message(p: Person, r: Random) -> dict[str, Any]:
    other = Person.new(r)
    return {
        "id": _id(r),
        "labelIds": ["INBOX", "UNREAD"],
        "payload": {
            "mimeType": "multipart/alternative",
            "headers": [
                {"name": "Delivered-To", "value": other.email()},
                {"name": "Subject", "value": "Your booking"},
                {"name": "Message-Id", "value": "b1946ac92492d2347c6235b4"},
            ],
        },
        "sizeEstimate": r.randrange(10**5),
    }


def graph_user(p: Person, r: Random) -> dict[str, Any]:
    return {
        "@odata.context": "https://graph.microsoft.example/v1.0/$metadata#users/$entity",
        "businessPhones": [p.phone()],
        "displayName": p.known_as(),
        "givenName": p.given(),
        "surname": p.family(),
        "jobTitle": "Auditor",
        "mail": p.email(),
        "mobilePhone": p.phone(),
        "officeLocation": "12/1110",
        "streetAddress": p.street(),
        "city": p.city(),
        "postalCode": p.postcode(),
        "preferredLanguage": "en-US",
        "userPrincipalName": p.email(),
        "id": "87d349ed-44d7-43e1-9a83-5f2406dee5bd",
    }


def graph_message(p: Person, r: Random) -> dict[str, Any]:
    other = Person.new(r)
    return {
        "subject": "Re: contract",
        "importance": "normal",
        "from": {"emailAddress": {"name": p.known_as(), "address": p.email()}},
        "toRecipients": [{"emailAddress": {"name": other.known_as(), "address": other.email()}}],
        "isRead": True,
        "receivedDateTime": _when(r),
    }


def fhir_patient(p: Person, r: Random) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": f"pat-{r.randrange(1000)}",
        "active": True,
        "name": [{"use": "official", "family": p.family(), "given": [p.given(), p.initial()]}],
        "telecom": [{"system": "phone", "value": p.phone(), "use": "home"}, {"system": "email", "value": p.email()}],
        "gender": "female",
        "birthDate": p.born(),
        "address": [
            {"use": "home", "line": [p.street()], "city": p.city(), "postalCode": p.postcode(), "country": "DE"}
        ],
        "contact": [{"relationship": [{"text": "Partner"}], "name": {"text": p.known_as()}}],
    }


def sap_partner(p: Person, r: Random) -> dict[str, Any]:
    return {
        "BusinessPartner": f"{r.randrange(10**7)}",
        "BusinessPartnerCategory": "1",
        "BusinessPartnerFullName": p.known_as(),
        "FirstName": p.given(),
        "LastName": p.family(),
        "BirthDate": p.born(),
        "to_BusinessPartnerAddress": [
            {
                "StreetName": p.street_name(),
                "HouseNumber": p.house(),
                "CityName": p.city(),
                "PostalCode": p.postcode(),
                "Country": "DE",
            }
        ],
        "Language": "DE",
    }


def cognito(p: Person, r: Random) -> dict[str, Any]:
    return {
        "Username": _id(r),
        "UserAttributes": [
            {"Name": "sub", "Value": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"},
            {"Name": "given_name", "Value": p.given()},
            {"Name": "family_name", "Value": p.family()},
            {"Name": "phone_number", "Value": p.phone()},
            {"Name": "birthdate", "Value": p.born()},
            {"Name": "email_verified", "Value": "true"},
        ],
        "Enabled": True,
        "UserStatus": "CONFIRMED",
    }


def petstore_user(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": r.randrange(100),
        "username": "theUser",
        "firstName": p.given(),
        "lastName": p.family(),
        "email": p.email(),
        "password": p.password(),
        "phone": p.phone(),
        "userStatus": 1,
    }


def psd2_transaction(p: Person, r: Random) -> dict[str, Any]:
    return {
        "transactionId": _id(r),
        "creditorName": p.known_as(),
        "creditorAccount": {"iban": p.iban()},
        "debtorName": Person.new(r).known_as(),
        "transactionAmount": {"currency": "EUR", "amount": f"-{r.randrange(1000)}.67"},
        "bookingDate": "2026-02-03",
        "remittanceInformationUnstructured": "Rent February",
        "bankTransactionCode": "PMNT-RCDT-ESCT",
    }


def plaid_owner(p: Person, r: Random) -> dict[str, Any]:
    return {
        "accounts": [
            {
                "account_id": _id(r),
                "mask": "0000",
                "name": "Plaid Checking",
                "official_name": "Plaid Gold Standard 0% Interest Checking",
                "owners": [
                    {
                        "names": [p.known_as()],
                        "addresses": [
                            {
                                "data": {
                                    "street": p.street(),
                                    "city": p.city(),
                                    "postal_code": p.postcode(),
                                    "region": "NY",
                                },
                                "primary": True,
                            }
                        ],
                        "emails": [{"data": p.email(), "type": "primary"}],
                        "phone_numbers": [{"data": p.phone(), "type": "home"}],
                    }
                ],
            }
        ]
    }


def bank_flat(p: Person, r: Random) -> dict[str, Any]:
    return {
        "date": "2026-02-03",
        "amount": f"{r.randrange(1000)}.10",
        "counterparty": p.known_as(),
        "counterparty_iban": p.iban(),
        "account_number": p.account(),
        "reference": f"INV-{r.randrange(10**5)}",
        "booked_by": "batch-7",
    }


def employee(p: Person, r: Random) -> dict[str, Any]:
    return {
        "employeeNumber": str(r.randrange(100, 999)),
        "firstName": p.given(),
        "middleName": p.initial(),
        "lastName": p.family(),
        "preferredName": p.given(),
        "dateOfBirth": p.born(),
        "ssn": p.ssn(),
        "homePhone": p.phone(),
        "workEmail": p.email(),
        "address1": p.street(),
        "city": p.city(),
        "zipcode": p.postcode(),
        "hireDate": "2019-04-01",
        "department": "Finance",
        "supervisor": Person.new(r).known_as(),
        "jobTitle": "Accountant",
    }


def crm_german(p: Person, r: Random) -> dict[str, Any]:
    return {
        "Kundennummer": p.customer(),
        "Anrede": "Frau",
        "Vorname": p.given(),
        "Nachname": p.family(),
        "Straße": p.street(),
        "PLZ": p.postcode(),
        "Ort": p.city(),
        "Geburtsdatum": p.born(),
        "Telefon": p.phone(),
        "E-Mail": p.email(),
        "IBAN": p.iban(),
        "Umsatz": f"{r.randrange(10000)},50",
    }


def crm_french(p: Person, r: Random) -> dict[str, Any]:
    return {
        "civilite": "Mme",
        "nom": p.family(),
        "prenom": p.given(),
        "date_naissance": p.born(),
        "adresse": p.street(),
        "code_postal": p.postcode(),
        "ville": p.city(),
        "telephone": p.phone(),
        "courriel": p.email(),
        "statut": "actif",
    }


def crm_spanish(p: Person, r: Random) -> dict[str, Any]:
    return {
        "nombre": p.given(),
        "apellidos": p.family(),
        "fecha_nacimiento": p.born(),
        "direccion": p.street(),
        "codigo_postal": p.postcode(),
        "ciudad": p.city(),
        "telefono": p.phone(),
        "correo": p.email(),
        "estado": "activo",
    }


def oidc(p: Person, r: Random) -> dict[str, Any]:
    return {
        "sub": _id(r),
        "name": p.known_as(),
        "given_name": p.given(),
        "family_name": p.family(),
        "email": p.email(),
        "email_verified": True,
        "birthdate": p.born(),
        "address": {
            "formatted": p.address("\n"),
            "street_address": p.street(),
            "locality": p.city(),
            "postal_code": p.postcode(),
        },
        "locale": "en-GB",
        "updated_at": 1700000000,
    }


def scim(p: Person, r: Random) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": p.email(),
        "name": {"formatted": p.known_as(), "familyName": p.family(), "givenName": p.given()},
        "displayName": p.known_as(),
        "emails": [{"value": p.email(), "type": "work", "primary": True}],
        "phoneNumbers": [{"value": p.phone(), "type": "work"}],
        "addresses": [
            {
                "streetAddress": p.street(),
                "locality": p.city(),
                "postalCode": p.postcode(),
                "formatted": p.address("\n"),
            }
        ],
        "active": True,
        "groups": [{"display": "Tour Guides", "value": _id(r)}],
    }


def ldap(p: Person, r: Random) -> dict[str, Any]:
    return {
        "objectClass": "inetOrgPerson",
        "cn": p.known_as(),
        "sn": p.family(),
        "givenName": p.given(),
        "mail": p.email(),
        "telephoneNumber": p.phone(),
        "postalAddress": p.address(" $ "),
        "street": p.street(),
        "l": p.city(),
        "postalCode": p.postcode(),
        "departmentNumber": "42",
    }


def schema_org(p: Person, r: Random) -> dict[str, Any]:
    return {
        "@context": "https://schema.org",
        "@type": "Person",
        "name": p.known_as(),
        "givenName": p.given(),
        "familyName": p.family(),
        "telephone": p.phone(),
        "birthDate": p.born(),
        "address": {
            "@type": "PostalAddress",
            "streetAddress": p.street(),
            "addressLocality": p.city(),
            "postalCode": p.postcode(),
        },
        "jobTitle": "Researcher",
    }


def paypal_order(p: Person, r: Random) -> dict[str, Any]:
    return {
        "id": _id(r).upper(),
        "intent": "CAPTURE",
        "payer": {
            "name": {"given_name": p.given(), "surname": p.family()},
            "email_address": p.email(),
            "payer_id": "QYR5Z8XDVJNXQ",
        },
        "purchase_units": [
            {
                "amount": {"currency_code": "USD", "value": "100.00"},
                "shipping": {
                    "name": {"full_name": p.known_as()},
                    "address": {
                        "address_line_1": p.street(),
                        "admin_area_2": p.city(),
                        "postal_code": p.postcode(),
                        "country_code": "US",
                    },
                },
            }
        ],
        "status": "COMPLETED",
    }


def amazon_order(p: Person, r: Random) -> dict[str, Any]:
    return {
        "AmazonOrderId": f"902-{r.randrange(10**7):07}-{r.randrange(10**7):07}",
        "OrderStatus": "Shipped",
        "BuyerInfo": {"BuyerEmail": p.email(), "BuyerName": p.known_as()},
        "ShippingAddress": {
            "Name": p.known_as(),
            "AddressLine1": p.street(),
            "City": p.city(),
            "PostalCode": p.postcode(),
            "CountryCode": "GB",
        },
        "MarketplaceId": "ATVPDKIKX0DER",
    }


def shipment(p: Person, r: Random) -> dict[str, Any]:
    return {
        "trackingNumber": f"JD{r.randrange(10**10)}",
        "consigneeName": p.known_as(),
        "receiverDetails": {
            "postalAddress": {
                "addressLine1": p.street(),
                "cityName": p.city(),
                "postalCode": p.postcode(),
                "countryCode": "FR",
            },
            "contactInformation": {"fullName": p.known_as(), "phone": p.phone(), "companyName": "Acme"},
        },
        "signedBy": p.known_as(),
        "weight": 12.5,
    }


def school(p: Person, r: Random) -> dict[str, Any]:
    return {
        "student_id": str(r.randrange(10**5)),
        "student_name": p.known_as(),
        "guardian_name": Person.new(r).known_as(),
        "guardian_phone": p.phone(),
        "home_address": p.address(),
        "grade": "7b",
        "gpa": 3.4,
    }


def insurance(p: Person, r: Random) -> dict[str, Any]:
    return {
        "claim_no": f"CL-{r.randrange(10**6)}",
        "claimant": p.known_as(),
        "insured_name": p.known_as(),
        "loss_date": "2026-01-02",
        "policyholder_dob": p.born(),
        "policyholder_address": p.address(),
        "adjuster": Person.new(r).known_as(),
        "reserve": r.randrange(10**5),
    }


def hotel_booking(p: Person, r: Random) -> dict[str, Any]:
    return {
        "reservationId": f"R{r.randrange(10**6)}",
        "guestName": p.known_as(),
        "guestEmail": p.email(),
        "guestPhone": p.phone(),
        "roomType": "Double",
        "checkIn": "2026-05-04",
        "nights": 3,
        "cardNumber": p.card(),
        "nameOnCard": p.known_as(),
    }


SOURCES: tuple[Source, ...] = (
    salesforce, hubspot, stripe_customer, stripe_charge, shopify_order, zendesk_ticket, jira_issue, github_user, github_commit,
    google_person, google_event, gmail_message, graph_user, graph_message, fhir_patient, sap_partner, cognito, petstore_user,
    psd2_transaction, plaid_owner, bank_flat, employee, crm_german, crm_french, crm_spanish, oidc, scim, ldap, schema_org,
    paypal_order, amazon_order, shipment, school, insurance, hotel_booking,
)  # fmt: skip
