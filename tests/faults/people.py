"""The canaries of the tests: one invented person, what she should not have typed, and what strangers try."""

from tests.faults.needles import Needle, card_number, identity_number, needle, spaced

EMAIL = "Kanari.Quetzal+liste@fuglesti.example.org"
STOPPED = "stopp.meg.zebu@fuglesti.example.org"
BUYER = "kjoper.okapi@fuglesti.example.org"
FAILING = "feiler.axolotl@fuglesti.example.org"
FIRST_NAME, LAST_NAME, COMPANY = "Åslaugia", "Kvitfjellvikøy", "Zirkonvik Taumaskin AS"
IDENTITY, D_NUMBER = identity_number(17), identity_number(17 + 40)
CARDS = (card_number("4929", 16), card_number("5413", 16), card_number("3742", 15))
PHONE, BORN, STREET = "+47 913 57 246", "født 17.03.1984", "Gjøkeredeveien 77B"
SENTENCE = "jeg har kolibrifeber og kan ikke spise"
TOKEN, SECRET, COOKIE = "tok_quetzal_5f3a9c71e2", "hemmelig-men-feil-8841-kasuar", "okt-sesjon-77ab12cd-emu"
AGENT, FORWARDED, QUERY = "Kanarifugl/9.9 (nymfeparakitt)", "203.0.113.177, tukan.example.org", "sporing-marabu-9917"

NEEDLES: tuple[Needle, ...] = (
    needle("address", EMAIL, "Kanari.Quetzal"),
    needle("address of a withdrawal", STOPPED, "stopp.meg.zebu"),
    needle("address of a buyer", BUYER, "kjoper.okapi"),
    needle("address of a failing relay", FAILING, "feiler.axolotl"),
    needle("first name", FIRST_NAME),
    needle("last name", LAST_NAME),
    needle("company", COMPANY, "Zirkonvik"),
    needle("identity number", IDENTITY, spaced(IDENTITY, 6, 5)),
    needle("D-number", D_NUMBER, spaced(D_NUMBER, 6, 5)),
    *(needle(f"card {card[:4]}", card, spaced(card, 4, 4, 4, 4), spaced(card, 4, 6, 5)) for card in CARDS),
    needle("phone", PHONE, "91357246", "913 57 246"),
    needle("birth date", "17.03.1984"),
    needle("street", STREET),
    needle("sentence", SENTENCE, "kolibrifeber"),
    needle("token", TOKEN),
    needle("wrong secret", SECRET),
    needle("cookie", COOKIE),
    needle("user agent", AGENT, "nymfeparakitt"),
    needle("forwarded for", "203.0.113.177", "tukan.example.org"),
    needle("query", QUERY),
)

# What a form plugin sends besides what was asked for.
EXTRAS = {
    "phone": PHONE,
    "fodselsnummer": IDENTITY,
    "d-nummer": spaced(D_NUMBER, 6, 5),
    "message": f"{SENTENCE}. {BORN}, {STREET}. Kort {spaced(CARDS[0], 4, 4, 4, 4)}, {CARDS[1]}, {CARDS[2]}",
    "token": TOKEN,
    "ip": FORWARDED,
    "user_agent": AGENT,
}
PROFILE = {"first_name": FIRST_NAME, "last_name": LAST_NAME, "company": COMPANY}
HEADERS = {
    "User-Agent": AGENT,
    "Cookie": f"session={COOKIE}",
    "X-Forwarded-For": FORWARDED,
    "Referer": f"https://www.example.org/?{QUERY}={TOKEN}",
    "Authorization": f"Bearer {TOKEN}",
    "X-Request-Id": TOKEN,
}
