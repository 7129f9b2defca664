"""Names of fields that are enough by themselves, and what a field of that name holds.

English, German, French, Spanish; lower case, no accents.
"""

from __future__ import annotations

from agentguard.masking.words import phrases

_SHORTEST_JOINED = 8


def _table(**rows: str) -> dict[str, str]:
    return {phrase: entity for entity, text in rows.items() for phrase in phrases(text)}


WHOLE: dict[str, str] = _table(
    PERSON="""
        full name, fullname, first name, firstname, fname, last name, lastname, lname, middle name, given name,
        givenname, family name, familyname, surname, maiden name, forename, birth name, legal name, preferred name,
        nickname, nick name, person name, personal name, customer name, client name, patient name, employee name,
        contact name, cardholder, card holder, cardholder name, card holder name, name on card, account holder, account
        holder name, account owner, holder name, holder, beneficiary name, recipient name, sender name, guest name,
        passenger name, passenger, student name, teacher name, doctor name, physician name, owner name, member name,
        applicant name, tenant name, landlord name, insured name, policyholder, policy holder, payee name, payer name,
        buyer name, seller name, author name, manager name, shipping name, billing name, emergency contact name, spouse
        name, father name, mother name, parent name, child name, next of kin, attendee name, participant name, candidate
        name, driver name, user full name, real name, name first, name last, vorname, nachname, familienname,
        geburtsname, vollstandiger name, kundenname, ansprechpartner, kontoinhaber, empfangername, rufname,
        mitarbeitername, patientenname, karteninhaber, inhaber, zuname, name des kunden, vor und nachname, prenom, nom
        complet, nom de famille, nom du client, nom client, nom patient, nom de naissance, titulaire, nom titulaire, nom
        et prenom, nombre completo, apellido, primer apellido, segundo apellido, nombre cliente, nombre del cliente,
        nombre de pila, titular, nombre paciente, nombre y apellido, nombre del titular, apellido paterno, apellido
        materno, full legal name, display full name, name full, name formatted, principal name, real name normalized,
        first and last name, patronymic, second name, second surname, mothers maiden name, name prefix first last,
        contact person, person to contact, emergency contact, next of kin name, given names, family names, christian
        name, taxpayer, cn, common name person, pax name, consignee, consignee name, attention name, attn, c o, care of,
        reply to name, signature name, name1, name 1, vorna, nachn, namev, person full name, complete name, rufname des
        kindes, ehename, nachname des kunden, vorname des kunden, name vorname, vorname nachname, nachname vorname,
        familien name, kontakt name, name des patienten, name der person, nom usuel, nom d usage, prenoms, nom prenom,
        prenom nom, nom et prenoms, nom du patient, nom du titulaire, nom de l employe, nombres, nombre y apellidos,
        nombres y apellidos, nombre de contacto, nom de jeune fille, prenom usuel, nombre titular, nombre del
        paciente, nombre del empleado, apellidos y nombre, segundo
        nombre, primer nombre, business partner full name, localized first name, localized last name
    """,
    ADDRESS="""
        address, addr, address line, street, street address, street name, street line, addr line, address street, home
        address, postal address, mailing address, mail address postal, billing address, shipping address, delivery
        address, residential address, residence address, residence, work address, office address, current address,
        permanent address, full address, formatted address, customer address, address text, house number, street number,
        apartment, po box, line1, line2, address full, adresse, anschrift, strasse, strase, hausnummer, strasse
        hausnummer, wohnadresse, lieferadresse, rechnungsadresse, postanschrift, lieferanschrift, rechnungsanschrift,
        adresse postale, rue, adresse de livraison, adresse de facturation, voie, adresse complete, direccion,
        domicilio, calle, direccion de envio, direccion de facturacion, direccion postal, calle y numero, direccion
        completa, address line one, address line two, street line 1, streetline, street lines, street and number, street
        no, house no, house nr, house number or name, building number, building name, flat number, unit number,
        apartment number, apt number, apt no, door number, mailing street, billing street, shipping street, other
        street, home street, work street, addr1, addr2, address street name, thoroughfare, premise, sub premise,
        physical address, registered address, legal address, correspondence address, contact address, postal address
        line, service address, installation address, pickup address, dropoff address, drop off address, destination
        address street, residence street, home location, stras, anschrift zeile, strasse nr, strasse und hausnummer,
        strasse hausnr, hausnr, wohnanschrift, privatadresse, postfach, adresszusatz, zustelladresse, meldeadresse,
        adresse ligne, adresse domicile, adresse du domicile, numero de rue, numero et rue, nom de rue, complement
        adresse, complement d adresse, adresse personnelle, lieu de residence, direccion linea, direccion particular,
        direccion de entrega, direccion de facturacion completa, direccion del cliente, domicilio particular, calle
        numero, numero exterior, numero interior
    """,
    DATE_OF_BIRTH="""
        date of birth, dob, birth date, birthdate, birthday, birth day, born, born on, d o b, bday, date birth,
        geburtsdatum, geburtstag, geb datum, geboren, geboren am, date de naissance, date naissance, ne le, naissance,
        anniversaire, fecha de nacimiento, fecha nacimiento, nacimiento, cumpleanos, birth, year of birth, birth year,
        birthyear, geb, geb dat, gebdat, gbdat, geburtsjahr, geburts datum, ne e le, nee le, date de naissance client,
        fecha nac, fec nac, fecha de nac, birth dt, birth date time, dateofbirth, date of birth text, geboorte datum,
        data nascita, data di nascita, data de nascimento
    """,
    ACCOUNT_ID="""
        account id, account number, account no, account num, accountnumber, acct, acct no, acct number, acct id, bank
        account, bank account number, bank account no, account nr, kontonummer, konto nr, numero de compte, numero
        compte, numero de cuenta, numero cuenta, sort code account, routing and account, account holder id, from
        account, to account, source account, destination account, debit account, credit account, bank acct, bank acct
        no, bank account id, beneficiary account, counterparty account, account no masked, kontonr, konto nummer,
        bankkonto, compte bancaire, numero du compte, cuenta bancaria, numero de la cuenta, nro cuenta, clabe
    """,
    CUSTOMER_ID="""
        customer id, customer number, customer no, cust id, cust no, client number, client no, member number, membership
        number, member id, membership id, loyalty number, subscriber id, policy number, policyholder id, insurance
        number, kundennummer, kunden nr, kunden id, mitgliedsnummer, versichertennummer, versicherungsnummer, numero
        client, numero de client, id client, numero de cliente, numero cliente, id cliente, customer key, customer ref,
        customer reference, client ref, client reference, patron id, guest id, shopper id, shopper reference, buyer id,
        consumer id, insured id, beneficiary id, frequent flyer number, loyalty id, loyalty card, loyalty card number,
        kundennr, kdnr, kunden nummer, mitgliedsnr, versicherten nr, reference client, no client, code client, id de
        cliente, codigo cliente, nro cliente
    """,
    MEDICAL_RECORD_NUMBER="""
        mrn, medical record number, medical record no, medical record, patient id, patient number, patientennummer,
        medical record id, patient mrn, health record number, hospital number, chart number, patient identifier, pat id,
        pat nr, patienten id, patienten nr, numero de dossier, ipp, numero historia clinica, historia clinica
    """,
    EMPLOYEE_ID="""
        employee id, employee number, employee no, staff id, staff number, personnel number, personalnummer, employee
        code, emp id, emp no, empid, personnel id, worker id, pernr, payroll number, badge number, badge id,
        mitarbeiternummer, mitarbeiter id, mitarbeiter nr, personalnr, matricule, numero de empleado, id empleado,
        numero empleado, numero employe, numero d employe, legajo, numero de legajo
    """,
    PASSWORD="""
        password, passwd, pwd, pw, passphrase, pass phrase, user password, db password, database password, admin
        password,
        old password, new password, secret question answer, pin, pin code, otp, one time password, security answer,
        passcode, passwort, kennwort, mot de passe, contrasena, clave, zugangscode, password hash, hashed password,
        login password, user passwd, root password, passwort hash, initial password, temp password, temporary password,
        wifi password, master password, pass code, secret answer, geheimzahl, kennwort alt, motdepasse, mdp,
        contrasenia, clave de acceso, palabra clave
    """,  # noqa: S106 - names of fields
    API_KEY="""
        api key, apikey, access key, secret key, secret access key, client secret, app secret, auth token, access token,
        refresh token, bearer token, id token, session token, private key, api token, api secret, secret, signing key,
        signing secret, webhook secret, encryption key, authorization, x api key, personal access token, credential,
        shared secret, account key, session cookie, private key id, secret token, access token secret, consumer secret,
        sas token, connection string, service account key, csrf token, xsrf token, jwt, bearer, api secret key,
        master key,
        deploy key secret, totp secret, otp secret, mfa secret, seed phrase, recovery phrase, mnemonic phrase,
        recovery code
    """,
    EMAIL_ADDRESS="""
        email, e mail, email address, e mail address, mail, mail address, emailaddress, contact email, work email, user
        email, e mail adresse, email adresse, mailadresse, courriel, adresse email, adresse mail, adresse e mail,
        correo, correo electronico, correo e, email id, e mail addr, email addr, emailid, personal email, private email,
        business email, primary email, secondary email, alternate email, recovery email, to email, from email, user
        principal name, upn, emails, mail privat, mail adresse, adresse electronique, direccion de correo, direccion
        email
    """,
    PHONE_NUMBER="""
        phone, phone number, phone no, telephone, telephone number, tel, tel no, mobile, mobile number, mobile phone,
        mobile no, cell, cell phone, cell number, cellphone, fax, fax number, home phone, work phone, office phone,
        contact number, contact phone, phonenumber, msisdn, whatsapp, landline, daytime phone, evening phone, telefon,
        telefonnummer, handy, handynummer, mobil, mobilnummer, mobiltelefon, festnetz, rufnummer, telefax, telefono,
        movil, celular, numero de telefono, portable, numero de telephone, telephone portable, primary phone, secondary
        phone, alternate phone, emergency phone, evening phone number, day phone, night phone, business phone, phone
        home, phone mobile, phone work, phone cell, tel mobile, tel home, tel work, tel privat, mobile tel, mobile
        telephone, contact no, contact tel, whats app, sms number, pager, fax no, facsimile, telf, telf1, telnr, tel nr,
        telefonnr, telefon nr, telefon privat, mobilnr, handy nr, numero de tel, numero tel, no de telephone, tel fixe,
        tel portable, gsm, telefono movil, telefono fijo, telefono celular, numero celular, numero de celular, caller id
        number, caller number, called number, callback number
    """,
    CREDIT_CARD="""
        credit card, card number, card no, card num, credit card number, creditcard, cardnumber, cc number, ccnum, cc num, debit
        card, debit card number, pan, card pan, kartennummer, kreditkarte, kreditkartennummer, numero de carte, carte
        bancaire, numero de tarjeta, tarjeta de credito, payment card number, bank card number, card pan number, account
        pan, kreditkarten nummer, no de carte, numero tarjeta, numero de la tarjeta
    """,
    CVV="""
        cvv, cvc, cvv2, cvc2, card cvv, card cvc, security code, card security code, prufnummer,
        kartenprufnummer, cryptogramme, cryptogramme visuel, codigo de seguridad, card verification value,
        card verification code
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
        tax id, tax number, tax no, taxpayer id, tin, steuernummer, steuer id, steueridentifikationsnummer, numero
        fiscal, nif, tax identification number, tax identification no, taxpayer number, identifiant fiscal
    """,
    NATIONAL_ID="""
        national id, national id number, national identification number, identity number, identity card,
        identity card number, id card number, personal id, personal number, personal identification number,
        personalausweisnummer, ausweisnummer, sozialversicherungsnummer, numero de securite sociale, dni, nie,
        curp, cpf, pesel, bsn, aadhaar, government id, national identity number, citizen id, citizenship number,
        id document number, identity document number, id number, social insurance, social insurance no, sin
        number, rut, rfc, cedula, numero de identidad, numero de identificacion, documento de identidad, numero
        de documento, carte d identite, numero carte identite, numero ss, num secu, nir, insee number, sv
        nummer, sozialversicherungsnr, rentenversicherungsnummer, personalausweis, ausweis nr, ahv nummer,
        codice fiscale, personnummer, nif cliente, numero secu, numero de secu, numero securite sociale, pps
        number, emirates id, aadhaar number, pan number, voter id
    """,
    UK_NINO="""
        nino, national insurance number, national insurance no, national insurance, ni number, ni no, insurance
        number uk
    """,
    UK_NHS="""
        nhs number, nhs no, nhs id, nhs
    """,
    US_ITIN="""
        itin, individual taxpayer id, individual taxpayer identification number
    """,
    ABA_ROUTING_NUMBER="""
        routing number, aba routing number, aba number, routing no, aba routing, aba, rtn, routing transit
        number, bank routing
        number, ach routing number
    """,
    PASSPORT="""
        passport, passport number, passport no, passportnumber, reisepass, reisepassnummer, passnummer, numero de
        passeport, passeport, pasaporte, numero de pasaporte, passport id, passport nr, passport num, travel document
        number, pass nr, passnr, no passeport, numero passeport, nro pasaporte, numero pasaporte
    """,
    DRIVER_LICENSE="""
        driver license, drivers license, driver licence, driving licence, driving license, driver license number,
        licence number, drivers license number, driving licence number, license number, fuhrerschein,
        fuhrerscheinnummer, permis de conduire, licencia de conducir, driver license no, driving licence no, dl
        number, dl no,
        drivers licence number, licence no, license no, fuhrerschein nr, numero permis, numero de permis,
        permiso de conducir,
        carnet de conducir, numero de licencia
    """,
    LICENSE_PLATE="""
        license plate, licence plate, plate number, plate no, kennzeichen, number plate, vehicle plate,
        registration plate, vehicle
        registration, vehicle registration number, car registration, plaque immatriculation, plaque d immatriculation,
        immatriculation, matricula, matricula del vehiculo, placa, placa del vehiculo
    """,
    IP_ADDRESS="""
        ip, ip address, ip addr, ipaddress, client ip, remote ip, remote addr, source ip, src ip, user ip, last login
        ip, login ip
    """,
    MAC_ADDRESS="""
        mac address, mac addr
    """,
    GPS="""
        latitude, longitude, lat lng, lat lon, latlng, geo coordinates, gps coordinates, gps, lat, lng, lon,
        breitengrad,
        langengrad, latitud, longitud, home location coordinates, geo location, geolocation
    """,
)
"""A field's name, or its end, to what it holds."""

ENTITY_TYPES = frozenset(WHOLE.values()) | frozenset(
    "ADDRESS CITY CRYPTO JWT MAC_ADDRESS PRIVATE_KEY URL ZIP_CODE".split()
)
"""The entity types that are found without a policy or a plug-in."""

JOINED = {
    phrase.replace(" ", ""): entity
    for phrase, entity in WHOLE.items()
    if " " in phrase and len(phrase) >= _SHORTEST_JOINED
}
"""The same where words are written as one: `dateofbirth`, `mobilephone`."""

ALONE = frozenset(
    "holder residence pin pw cell mail secret mobile portable pan born birth apartment clave titular inhaber credential voie handy gps"
    " passport tin nie swift ip otp passenger birthday mobil calle rue cn attn geb upn rut rfc nir ipp gsm pager taxpayer"
    " matricula placa immatriculation legajo cryptogramme".split()
)
"""Names that stand for themselves only: `pin` is one, `gpio_pin` is not."""
