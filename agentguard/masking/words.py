"""Words of field names, and what a field of that name holds. English, German, French, Spanish; lower case, no accents.

`WHOLE` names are enough by themselves. `ROLES` are people only where the value looks like a name. `PEOPLE` and `THINGS`
decide what a bare `name` is: keys beside it, and the key above it.
"""

from __future__ import annotations


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split(","))


def _table(**rows: str) -> dict[str, str]:
    return {phrase: entity for entity, phrases in rows.items() for phrase in _phrases(phrases)}


WHOLE: dict[str, str] = _table(
    PERSON="""
        full name, fullname, first name, firstname, fname, last name, lastname, lname, middle name, given name,
        givenname, family name, familyname, surname, maiden name, forename, birth name, legal name, preferred name,
        nickname, nick name, person name, personal name, customer name, client name, patient name, employee name,
        contact name, cardholder, card holder, cardholder name, card holder name, name on card, account holder,
        account holder name, account owner, holder name, holder, beneficiary name, recipient name, sender name, guest
        name, passenger name, passenger, student name, teacher name, doctor name, physician name, owner name, member
        name, applicant name, tenant name, landlord name, insured name, policyholder, policy holder, payee name, payer
        name, buyer name, seller name, author name, manager name, shipping name, billing name, emergency contact name,
        spouse name, father name, mother name, parent name, child name, next of kin, attendee name, participant name,
        candidate name, driver name, user full name, real name, name first, name last, vorname, nachname,
        familienname, geburtsname, vollstandiger name, kundenname, ansprechpartner, kontoinhaber, empfangername,
        rufname, mitarbeitername, patientenname, karteninhaber, inhaber, zuname, name des kunden, vor und nachname,
        prenom, nom complet, nom de famille, nom du client, nom client, nom patient, nom de naissance, titulaire, nom
        titulaire, nom et prenom, nombre completo, apellido, primer apellido, segundo apellido, nombre cliente, nombre
        del cliente, nombre de pila, titular, nombre paciente, nombre y apellido, nombre del titular, apellido
        paterno, apellido materno
    """,
    ADDRESS="""
        address, addr, address line, street, street address, street name, street line, addr line, address street, home
        address, postal address, mailing address, mail address postal, billing address, shipping address, delivery
        address, residential address, residence address, residence, work address, office address, current address,
        permanent address, full address, formatted address, customer address, address text, house number, street
        number, apartment, po box, line1, line2, address full, adresse, anschrift, strasse, strase, hausnummer,
        strasse hausnummer, wohnadresse, lieferadresse, rechnungsadresse, postanschrift, lieferanschrift,
        rechnungsanschrift, adresse postale, rue, adresse de livraison, adresse de facturation, voie, adresse
        complete, direccion, domicilio, calle, direccion de envio, direccion de facturacion, direccion postal, calle y
        numero, direccion completa
    """,
    DATE_OF_BIRTH="""
        date of birth, dob, birth date, birthdate, birthday, birth day, born, born on, d o b, bday, date birth,
        geburtsdatum, geburtstag, geb datum, geboren, geboren am, date de naissance, date naissance, ne le, naissance,
        anniversaire, fecha de nacimiento, fecha nacimiento, nacimiento, cumpleanos
    """,
    ACCOUNT_ID="""
        account id, account number, account no, account num, accountnumber, acct, acct no, acct number, acct id, bank
        account, bank account number, bank account no, account nr, kontonummer, konto nr, numero de compte, numero
        compte, numero de cuenta, numero cuenta, sort code account, routing and account
    """,
    CUSTOMER_ID="""
        customer id, customer number, customer no, cust id, cust no, client number, client no, member number,
        membership number, member id, membership id, loyalty number, subscriber id, policy number, policyholder id,
        insurance number, kundennummer, kunden nr, kunden id, mitgliedsnummer, versichertennummer,
        versicherungsnummer, numero client, numero de client, id client, numero de cliente, numero cliente, id cliente
    """,
    MEDICAL_RECORD_NUMBER="""
        mrn, medical record number, medical record no, medical record, patient id, patient number, patientennummer
    """,
    EMPLOYEE_ID="""
        employee id, employee number, employee no, staff id, staff number, personnel number, personalnummer
    """,
    PASSWORD="""
        password, passwd, pwd, passphrase, pass phrase, user password, db password, database password, admin password,
        old password, new password, secret question answer, pin, pin code, otp, one time password, security answer,
        passcode, passwort, kennwort, mot de passe, contrasena, clave, zugangscode, password hash, hashed password
    """,  # noqa: S106 - names of fields
    API_KEY="""
        api key, apikey, access key, secret key, secret access key, client secret, app secret, auth token, access
        token, refresh token, bearer token, id token, session token, private key, api token, api secret, secret,
        signing key, signing secret, webhook secret, encryption key, authorization, x api key, personal access token,
        credential, shared secret, account key, session cookie
    """,
    EMAIL_ADDRESS="""
        email, e mail, email address, e mail address, mail, mail address, emailaddress, contact email, work email,
        user email, e mail adresse, email adresse, mailadresse, courriel, adresse email, adresse mail, adresse e mail,
        correo, correo electronico, correo e
    """,
    PHONE_NUMBER="""
        phone, phone number, phone no, telephone, telephone number, tel, tel no, mobile, mobile number, mobile phone,
        mobile no, cell, cell phone, cell number, cellphone, fax, fax number, home phone, work phone, office phone,
        contact number, contact phone, phonenumber, msisdn, whatsapp, landline, daytime phone, evening phone, telefon,
        telefonnummer, handy, handynummer, mobil, mobilnummer, mobiltelefon, festnetz, rufnummer, telefax, telefono,
        movil, celular, numero de telefono, portable, numero de telephone, telephone portable
    """,
    CREDIT_CARD="""
        credit card, card number, card no, credit card number, creditcard, cardnumber, cc number, ccnum, cc num, debit
        card, debit card number, pan, card pan, kartennummer, kreditkarte, kreditkartennummer, numero de carte, carte
        bancaire, numero de tarjeta, tarjeta de credito
    """,
    CVV="""
        cvv, cvc, cvv2, cvc2, card cvv, card cvc, security code, card security code, prufnummer
    """,
    IBAN_CODE="""
        iban, iban code, iban number, bank iban
    """,
    BIC="""
        bic, swift, swift code, bic code, bic swift, swift bic
    """,
    US_SSN="""
        ssn, social security number, social security no, social security, socialsecuritynumber, ss number, social
        insurance number
    """,
    TAX_ID="""
        tax id, tax number, tax no, taxpayer id, itin, tin, steuernummer, steuer id, steueridentifikationsnummer,
        numero fiscal, nif
    """,
    NATIONAL_ID="""
        national id, national id number, national identification number, identity number, identity card, identity card
        number, id card number, personal id, personal number, personal identification number, personalausweisnummer,
        ausweisnummer, sozialversicherungsnummer, numero de securite sociale, dni, nie, curp, cpf, pesel, bsn,
        aadhaar, nino, nhs number, national insurance number, government id
    """,
    PASSPORT="""
        passport, passport number, passport no, passportnumber, reisepass, reisepassnummer, passnummer, numero de
        passeport, passeport, pasaporte, numero de pasaporte
    """,
    DRIVER_LICENSE="""
        driver license, drivers license, driver licence, driving licence, driving license, driver license number,
        licence number, drivers license number, driving licence number, license number, fuhrerschein,
        fuhrerscheinnummer, permis de conduire, licencia de conducir
    """,
    LICENSE_PLATE="""
        license plate, licence plate, plate number, kennzeichen, number plate
    """,
    IP_ADDRESS="""
        ip, ip address, ip addr, ipaddress, client ip, remote ip, remote addr, source ip, src ip, user ip, last login
        ip, login ip
    """,
    MAC_ADDRESS="""
        mac address, mac addr
    """,
    GPS="""
        latitude, longitude, lat lng, lat lon, latlng, geo coordinates, gps coordinates, gps
    """,
)
"""A field's name, or its end, to what it holds."""

CITY = _phrases(
    """
    city, town, city name, village, suburb, district, ort, wohnort, stadt, ortschaft, ville, commune, ciudad,
    localidad, poblacion, municipio, birthplace, place of birth, geburtsort, lieu de naissance
    """
)

ZIP = _phrases(
    """
    zip, zip code, zipcode, postal code, postalcode, postcode, post code, plz, postleitzahl, code postal, codigo
    postal, cp
    """
)

ROLES = _phrases(
    """
    user, customer, client, patient, employee, owner, assignee, author, reporter, sender, recipient, manager, contact,
    person, member, guest, applicant, candidate, student, teacher, doctor, physician, tenant, landlord, buyer, seller,
    payee, payer, beneficiary, approver, reviewer, organizer, attendee, participant, driver, agent name, sales rep,
    account manager, requester, supervisor, spouse, father, mother, husband, wife, colleague, friend, from name, to
    name, created by, updated by, modified by, assigned to, signed by, approved by, display name, user name, username,
    kunde, kundin, mitarbeiter, absender, empfanger, besitzer, benutzer, patientin, bearbeiter, utilisateur,
    expediteur, destinataire, proprietaire, auteur, employe, usuario, remitente, destinatario, propietario, autor,
    paciente, empleado
    """
)
"""Fields that may hold a person's name, or a role, an id or a record."""

NAMES = _phrases(
    """
    name, names, nom, nombre
    """
)
"""A name of something: the keys beside it decide."""

PEOPLE = _phrases(
    """
    user, users, customer, customers, client, clients, patient, employee, contact, person, persons, people, member,
    guest, owner, author, sender, recipient, applicant, candidate, student, teacher, doctor, passenger, attendee,
    participant, beneficiary, payee, payer, cardholder, buyer, seller, staff, assignee, reporter, manager, tenant,
    friend, colleague, profile, individual, subscriber, spouse, driver, billing, shipping, billing address, shipping
    address, kunde, kunden, mitarbeiter, patienten, personen, ansprechpartner, absender, empfanger, utilisateur,
    utilisateurs, usuario, usuarios, cliente, clientes, paciente, empleado, empleados, personne, personnes, persona,
    personas
    """
)
"""Keys above a `name` that make it a person's."""

PERSONAL = frozenset(
    {
        "EMAIL_ADDRESS",
        "PHONE_NUMBER",
        "DATE_OF_BIRTH",
        "US_SSN",
        "ADDRESS",
        "PASSPORT",
        "DRIVER_LICENSE",
        "NATIONAL_ID",
        "CUSTOMER_ID",
        "MEDICAL_RECORD_NUMBER",
        "EMPLOYEE_ID",
        "CREDIT_CARD",
        "IBAN_CODE",
        "PERSON",
        "ACCOUNT_ID",
    }
)
"""What stands beside a person's `name`."""

PERSONAL_WORDS = _phrases(
    """
    age, gender, sex, salary, job title, title mr, marital status, nationality, hobbies, geschlecht, alter, beruf,
    sexe, edad, sexo, diagnosis, occupation, job, hire date, grade, blood type
    """
)

THINGS = _phrases(
    """
    size, path, version, price, sku, mime, mime type, mimetype, extension, file, filename, stock, currency, industry,
    employees, website, vat, vat id, vat number, tax rate, revenue, founded, domain, language, stars, forks, license,
    branch, commit, sha, schema, columns, rows, table, parameters, arguments, inputs, function, tool, command, image,
    port, status code, namespace, cpu, memory, disk, region, instance type, sector, category, brand, weight,
    dimensions, capacity, population, country code, iso, latitude, genre, duration, album, artist, color, colour,
    quantity, unit price, ingredients, calories, rating, rooms, opening hours, enabled, default, required, type, data
    type, nullable, checksum, created, modified
    """
)
"""What stands beside the `name` of a thing."""

STRONG = frozenset(
    {"DATE_OF_BIRTH", "US_SSN", "PASSPORT", "DRIVER_LICENSE", "NATIONAL_ID", "MEDICAL_RECORD_NUMBER", "EMPLOYEE_ID"}
)
"""What only people have."""

NOT_ADDRESS = _phrases(
    """
    ip, email, e mail, mail, mac, web, url, memory, wallet, contract, bitcoin, server, network, host, http, website,
    site, bus, base, start, end, eth, crypto, socket, listen, bind, remote, local, peer, internet, from, to, reply
    """
)
"""Words that make another thing of an address when they stand before it."""

ORGANISATION = _phrases(
    """
    inc, llc, ltd, limited, gmbh, ag, corp, corporation, co, company, plc, sa, sarl, srl, bv, kg, oy, ab, as, group,
    bank, university, hospital, foundation, institute, team, department, service, services, systems, solutions,
    technologies, store, shop, hotel, restaurant, cafe, school, college, association, holdings, partners, labs,
    studio, agency, ministry, council, bot, admin, system, support, helpdesk
    """
)
"""Words that a company or a unit has in its name, and a person hasn't."""

NOTHING = _phrases(
    """
    null, none, nil, nan, n/a, na, n.a., unknown, undefined, true, false, yes, no, -, --, ?, tbd, tba, not set, not
    provided, unset, empty, anonymous, redacted, hidden, any, all, string, str, text, number, integer, object,
    required, optional
    """
)
"""Values that say nothing about anybody."""
