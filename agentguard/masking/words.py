"""Words of field names, and of what stands around a field, which only together say what it holds.

English, German, French, Spanish; lower case, no accents. `ROLES` are people only where the value looks like a name. `PEOPLE` and
`THINGS` decide what a bare `name` is: keys beside it, and the key above it.
"""

from __future__ import annotations


def phrases(text: str) -> frozenset[str]:
    """The phrases in a text with commas between them."""
    return frozenset(" ".join(phrase.split()) for phrase in text.split(","))


CITY = phrases(
    """
    city, town, city name, village, suburb, district, ort, wohnort, stadt, ortschaft, ville, commune, ciudad, localidad,
    poblacion, municipio, birthplace, place of birth, birth place, geburtsort, lieu de naissance, lugar de nacimiento,
    locality, address locality, municipality, address city, hometown, home town, admin area, post town, city of
    residence, wohn ort, gemeinde, stadtteil, ort01, ville de residence, localite, barrio, colonia, residence city, l
    """
)

ZIP = phrases(
    """
    zip, zip code, zipcode, postal code, postalcode, postcode, post code, plz, postleitzahl, code postal, codigo postal,
    cp, post zip, zip postal, zip postal code, postal zip, postalzip, pin zip, pstlz, pst lz, codigo postal domicilio,
    cod postal, codepostal, codpostal
    """
)

RANDOM = phrases(
    """
    token, key, auth, cookie, cookies, session, session id, sessionid, sid, phpsessid, jsessionid, connect sid, sig, signature,
    creds, credentials, authentication, passphrase hint, webhook, webhook url, dsn, license key, activation key, product key,
    salt, pepper, hmac, hash key, iv, seed, access, access id, code verifier, otp uri, magic link,
    invite code, reset code, schlussel, zugangsschluessel, jeton, cle, cle api, llave, ficha
    """
)
"""Fields that hold a secret where the value looks drawn at random; a word, a name or a number is none."""

NOT_SECRET = frozenset(
    "page next prev previous continuation sync cache primary foreign sort partition idempotency idempotence public routing row"
    " message object event dedup deduplication shard index lookup join group order issue project resume change delta cursor watermark"
    " pagination scroll marker search map image artifact content git commit etag integrity file build ssh host ip trace span request"
    " correlation client_request natural business surrogate composite unique tag label config feature flag translation i18n locale"
    " s3 storage blob document doc".split()
)
"""Words before `key`, `token` and the like that make something else of them."""

ROLES = phrases(
    """
    versicherungsnehmer, versicherungsnehmerin, mieter, mieterin, vermieter, bewerber, bewerberin, schuler, schulerin, fahrer,
    fahrerin, halter, donor, volunteer, player, interviewer, investor, shareholder, founder, trainer, inspector, sponsor, callee,
    user, customer, client, patient, employee, owner, assignee, author, reporter, sender, recipient, manager, contact,
    person, member, guest, applicant, candidate, student, teacher, doctor, physician, tenant, landlord, buyer, seller,
    payee, payer, beneficiary, approver, reviewer, organizer, attendee, participant, driver, agent name, sales rep,
    account manager, requester, supervisor, spouse, father, mother, husband, wife, colleague, friend, from name, to
    name, assigned to, sent by, written by, agent, counterparty, counter party, creditor, debtor, insured, claimant,
    policyholder, adjuster, plaintiff, defendant, attorney, lawyer, judge, witness, consignee, shipper, receiver,
    addressee, caller, callee, host, speaker, instructor, professor, coach, nurse, surgeon, therapist, parent, guardian,
    son, daughter, brother, sister, partner, roommate, subscriber, cardholder, account owner, account holder, committer,
    maintainer, contributor, editor, commenter, creator, submitter, originator, observer, watcher, follower, invitee,
    traveler, traveller, lead, team lead, director, ceo, cfo, president, chairman, sales person, salesperson, recruiter,
    interviewer, hiring manager, mentor, deputy, secretary, accountant, owner user, wer, zustandig, sachbearbeiter,
    arzt, patientin, vertreter, ansprechpartnerin, chef, leiter, interlocuteur, responsable, medecin, conjoint, cliente,
    medico, responsable de, encargado, beneficiario, conyuge, tutor, kunde, kundin, mitarbeiter, absender, empfanger,
    besitzer, benutzer, bearbeiter, utilisateur, expediteur, destinataire, proprietaire, auteur, employe, usuario,
    remitente, destinatario, propietario, autor, paciente, empleado
    """
)
"""Fields that may hold a person's name, or a role, an id or a record."""

NAMES = phrases(
    """
    name, names, nom, noms, nombre, nombres, nome, naam, namen
    """
)
"""A name of something: the keys beside it decide."""

TITLES = phrases(
    """
    display name, real name, user name, username, screen name, nickname, alias name, handle name, login name,
    anzeigename, nom affiche, nombre para mostrar
    """
)
"""What people and things are shown as."""

NAME_PARTS = phrases(
    """
    first, last, middle, given, family, forenames, initials, maiden, surname prefix, family name prefix, primero, ultimo, sn
    """
)
"""Under a name, or beside each other."""

GIVEN = phrases(
    """
    first name, given name, firstname, givenname, fname, forename, first, given, vorname, prenom, nombre, nombres, primer nombre
    """
)
FAMILY = phrases(
    """
    last name, family name, lastname, familyname, surname, lname, last, family, nachname, familienname, nom, nom de famille,
    apellido, apellidos, sn
    """
)
"""The two halves of a name."""

ADDRESS_PARTS = phrases(
    """
    line, lines, line one, line two, line1, line2, line3, number, no, unit, suite, floor, building, block, apt,
    extended, formatted, care of, name of street, road, house, neighborhood, neighbourhood, county, post box, pobox,
    full, one, two, hnr, nr, num, nummer, numero, complement, piso, puerta
    """
)
"""Under an address."""

NUMBERS = frozenset({"number", "no", "nr", "num", "numero", "nummer"})
"""Names of a number of whatever the key above says."""

VALUES = phrases(
    """
    value, values, text, data, formatted value, formatted, canonical form, canonical, raw, raw value, normalized,
    normalised, display value, string value, full value, string, s, val, answer, content, default value, current value,
    new value, old value, before, after, previous, wert, valeur, valor, c, t, str, txt, enc, encrypted, decrypted, masked, plain,
    plaintext, cleartext, original
    """
)
"""Names that only say that there is a value."""

FILLERS = phrases(
    """
    details, detail, info, information, record, object, properties, attributes, fields, field, node, data, item, email,
    mail, address, addresses, account, profile, entity, payload, result, body, personal, primary, main, legal, full, c,
    contact info, primary contact
    """
)
"""Words between a word for a person and `name` that change nothing."""

LABELS = phrases(
    """
    name, key, field, field name, label, question, attribute, attribute name, property, property name, column, column
    name, header, parameter, param, title, code, variable, prop, k, feld, bezeichnung, champ, libelle, campo, etiqueta,
    custom field, display name, system, type, short name
    """
)
"""Names of what says, in the same object, what its value is: `{"key": "phone", "value": "..."}`."""

LABELLED = phrases(
    """
    value, values, val, answer, text, content, data, response, string value, display value, text value, field value, v,
    wert, valeur, valor, respuesta, reponse, antwort
    """
)
"""Names of the value beside a label."""

NOT_HOME = frozenset(
    "departure arrival origin destination hotel store warehouse event venue branch airport from to default capital office"
    " company nearest station country".split()
)
"""Words that make another thing of a city when they stand before it."""

PEOPLE = phrases(
    """
    user, users, customer, customers, client, clients, patient, employee, contact, person, persons, people, member,
    guest, owner, author, sender, recipient, applicant, candidate, student, teacher, doctor, passenger, attendee,
    participant, beneficiary, payee, payer, cardholder, buyer, seller, staff, assignee, reporter, manager, tenant,
    friend, colleague, profile, individual, subscriber, spouse, driver, billing, shipping, billing address, shipping
    address, kunde, kunden, mitarbeiter, patienten, personen, ansprechpartner, absender, empfanger, utilisateur,
    utilisateurs, usuario, usuarios, cliente, clientes, paciente, empleado, empleados, personne, personnes, persona,
    personas, counterparty, creditor, debtor, insured, policyholder, claimant, plaintiff, defendant, attorney, lawyer,
    judge, witness, physician, nurse, surgeon, therapist, consignee, consignor, shipper, receiver, addressee, caller,
    speaker, instructor, professor, parent, guardian, father, mother, husband, wife, child, son, daughter, sibling,
    partner person, traveler, traveller, approver, reviewer, requester, requestor, organizer, organiser, creator,
    committer, submitter, editor, agent, sales rep, representative, supervisor, landlord, holder, account holder,
    account owner, card, shopper, consumer, taxpayer, dependent, executor, trustee, borrower, lender, co borrower,
    employee record, worker, personnel, colleagues, kontakt, empfangerin, rechnungsempfanger, lieferempfanger,
    patientin, versicherter, karteninhaber, kontoinhaber, ansprechpartnerin, destinataire, expediteur, salarie, employe,
    proprietaire, locataire, medecin, titular, remitente, destinatario, propietario, inquilino, medico, alumno,
    estudiante, emergency contact, next of kin, legal representative, referring physician, performing physician,
    attending physician, email address, requester user, resident, citizen, voter, witness person, victim, suspect,
    prisoner, inmate, user profile, human, individual customer, lead, prospect, followers, assigned user, payer info,
    shopper name, buyer info, receiver details, contact information, bill to, ship to, sold to, billto, shipto, deliver
    to, invoice to, invoicee, emergency, kin
    """
)
"""Keys above a `name` that make it a person's."""

ALSO_THINGS = frozenset("agent agents card profile partner lead host owner".split())
"""Words for people that programs and things are called by as well: the keys beside a `name` decide."""

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

OBJECTS = frozenset(
    "repository repo project product file folder tool function company organization organisation team model app application package"
    " branch event server cluster node device job task workflow pipeline dashboard bucket table column database schema metric alert"
    " song album movie book course hotel restaurant store shop airport station vehicle car item variant category plan subscription"
    " campaign segment channel room topic queue service brand vendor supplier department plugin extension library module theme template"
    " produkt produit producto fichier archivo datei firma entreprise societe empresa".split()
)
"""Keys above a `name` that make it a thing's."""

PERSONAL_WORDS = phrases(
    """
    age, gender, sex, salary, job title, title mr, marital status, nationality, hobbies, geschlecht, alter, beruf, sexe,
    edad, sexo, diagnosis, occupation, job, hire date, grade, blood type
    """
)

THINGS = phrases(
    """
    size, path, version, price, sku, mime, mime type, mimetype, extension, file, filename, stock, currency, industry,
    employees, website, vat, vat id, vat number, tax rate, revenue, founded, domain, language, stars, forks, license,
    branch, commit, sha, schema, columns, rows, table, parameters, arguments, inputs, function, tool, command, image,
    port, status code, namespace, cpu, memory, disk, region, instance type, sector, category, brand, weight, dimensions,
    capacity, population, country code, iso, latitude, genre, duration, album, artist, color, colour, quantity, unit
    price, ingredients, calories, rating, rooms, opening hours, enabled, default, required, type, data type, nullable,
    checksum, created, modified, provider, model, framework, runtime, endpoint, url, description, parameters schema
    """
)
"""What stands beside the `name` of a thing."""

STRONG = frozenset(
    {"DATE_OF_BIRTH", "US_SSN", "PASSPORT", "DRIVER_LICENSE", "NATIONAL_ID", "MEDICAL_RECORD_NUMBER", "EMPLOYEE_ID"}
)
"""What only people have."""

NOT_ADDRESS = phrases(
    """
    ip, email, e mail, mail, mac, web, url, memory, wallet, contract, bitcoin, server, network, host, http, website,
    site, bus, base, start, end, eth, crypto, socket, listen, bind, remote, local, peer, internet, from, to, reply
    """
)
"""Words that make another thing of an address when they stand before it."""

ORGANISATION = phrases(
    """
    inc, llc, ltd, limited, gmbh, ag, corp, corporation, co, company, plc, sa, sarl, srl, bv, kg, oy, ab, as, group,
    bank, university, hospital, foundation, institute, team, department, service, services, systems, solutions,
    technologies, store, shop, hotel, restaurant, cafe, school, college, association, holdings, partners, labs, studio,
    agency, ministry, council, bot, admin, system, support, helpdesk
    """
)
"""Words that a company or a unit has in its name, and a person hasn't."""

NOTHING = phrases(
    """
    null, none, nil, nan, n/a, na, n.a., unknown, undefined, true, false, yes, no, -, --, ?, tbd, tba, not set, not
    provided, unset, empty, anonymous, redacted, hidden, any, all, string, str, text, number, integer, object, required,
    optional, varchar, char, boolean, bool, date, datetime, timestamp, float, double, array, uuid, bigint, email, phone,
    address, name, full name, first name, last name, password, city, street, null value, not applicable, not available,
    not specified, keine, kein, inconnu, aucun, ninguno, desconocido, unbekannt, k.a., n.d., s/n, void, self, me, you,
    system, user, admin, root, default, guest
    """
)
"""Values that say nothing about anybody."""
