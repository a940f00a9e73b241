"""What a mail says, and above all what it does not: one table, in both languages, as people write."""

import re
import time
from pathlib import Path

import pytest

from schemas.entry import RIGHTS
from schemas.mail import intent
from schemas.mail.intent import Said, read_intent
from schemas.mail.phrases import PHRASES, WITHDRAWAL

W = (WITHDRAWAL,)
E, A, P, R = ("erasure",), ("access",), ("portability",), ("rectification",)
LIMIT, OBJECT = ("restriction",), ("objection",)
NOTHING: tuple[str, ...] = ()

# Subject, text, what it says.
NORWEGIAN = [
    ("", "Meld meg av", W),
    ("", "meld meg av nyhetsbrevet", W),
    ("", "Hei,\n\nVennligst meld meg av nyhetsbrevet deres.\n\nMvh\nKari Nordmann", W),
    ("", "Hei! Kan dere melde meg av e-postlisten? Takk!", W),
    ("", "Hei Vizpro, jeg vil gjerne meldes av. Takk på forhånd", W),
    ("", "MELD MEG AV!!!", W),
    ("", "ＭＥＬＤ meg av", W),
    ("", "Meld\u200b meg av", W),
    ("", "Avmeld", W),
    ("Avmelding", "", W),
    ("Avmelding nyhetsbrev", "Avmeld meg", W),
    ("Avmelding", "Hilsen Kari", W),
    ("", "Stopp nyhetsbrev", W),
    ("", "stopp", W),
    ("SV: Nyhetsbrev november", "Stopp\n\nKari Nordmann", W),
    ("", "Jeg ønsker ikke å motta nyhetsbrev fra dere lenger", W),
    ("", "Jeg vil ikke ha flere tilbud.", W),
    ("", "Ikke send meg mer reklame", W),
    ("", "Slutt å sende meg e-post", W),
    ("", "Jeg trekker samtykket mitt tilbake.", W),
    ("", "Jeg trekker tilbake mitt samtykke", W),
    ("", "Fjern meg fra listen, takk", W),
    ("", "Slett meg fra nyhetsbrevet", W),
    ("", "Hei dere\nTakk for hyggelig møte i går, det var nyttig for oss.\nMeld meg av nyhetsbrevet.", W),
    ("", "Meld meg av\n\nSendt fra min iPhone", W),
    ("SV: Tilbud", "Meld meg av\n\nDen 3. nov. 2026 kl. 10:00 skrev Vizpro <post@example.no>:\n> Slett meg", W),
    ("", "Slett meg", E),
    ("", "Vær så snill og slett meg", E),
    ("", "Kan dere slette alle mine data?", E),
    ("", "Jeg ber om at dere sletter alle opplysninger dere har om meg.", E),
    ("", "Slett alt dere har om meg", E),
    ("", "Jeg ønsker å bli slettet fra deres systemer", E),
    ("Krav om sletting", "", E),
    ("Sletting", "Jeg krever sletting av mine personopplysninger.", E),
    ("", "Meld meg av og slett meg", W + E),
    ("", "Meld meg av nyhetsbrevet. Slett også alle mine opplysninger.", W + E),
    ("Innsyn", "", A),
    ("Innsyn", "Jeg ber om innsyn i mine personopplysninger", A),
    ("", "Hei, jeg ber om innsyn.", A),
    ("", "Hvilke opplysninger har dere om meg?", A),
    ("", "Send meg en kopi av mine data", A),
    ("Dataportabilitet", "", P),
    ("", "Jeg ber om dataportabilitet", P),
    ("", "Rett opp mine opplysninger", R),
    ("", "Begrens behandlingen av mine personopplysninger", LIMIT),
    ("", "Jeg protesterer mot behandlingen av mine opplysninger", OBJECT),
    ("Krav om retting", "", R),
    ("Begrensning av behandling", "", LIMIT),
    ("Protest mot behandling", "Kari Nordmann", OBJECT),
    # And what says nothing that we may act on.
    ("", "Ikke slett meg", NOTHING),
    ("", "Dere må ikke slette meg!", NOTHING),
    ("", "Hei, vennligst ikke meld meg av nyhetsbrevet.", NOTHING),
    ("", "Meld meg av. Nei, ikke gjør det likevel.", NOTHING),
    ("", "Slett meg ikke", NOTHING),
    ("", "Hvordan melder jeg meg av?", NOTHING),
    ("", "Jeg vil ikke meldes av", NOTHING),
    ("", "Hvis dere ikke svarer, slett meg", NOTHING),
    ("", "En kunde skrev til oss:\nMeld meg av\nHva gjør jeg med det?", NOTHING),
    ("", 'Kunden sa "slett meg" i telefonen', NOTHING),
    ("", '"Meld meg av"', NOTHING),
    ("", "Meld meg på nyhetsbrevet", NOTHING),
    ("", "Slett bestillingen min", NOTHING),
    ("", "Slett data", NOTHING),
    ("", "Slett meg fra deltakerlisten til kurset på torsdag og sett på Ola", NOTHING),
    ("", "Hei, stopp produksjonen av ordre 1234", NOTHING),
    ("Stopp", "Hei, kan dere stoppe leveransen til lageret på fredag?", NOTHING),
    ("Innsyn", "Vi har fått et brev om innsyn i byggesaken til naboen.", NOTHING),
    ("Innsyn?", "", NOTHING),
    ("Avmelding", "Gjelder kurset den 4. desember: Ola kan ikke komme.", NOTHING),
    ("SV: Meld meg av", "Takk, det er ordnet.", NOTHING),
    ("VS: Slett meg", "Se under.", NOTHING),
    ("", "Hei\n\n-- \nMeld meg av", NOTHING),
    ("", "Takk for nyhetsbrevet!\n\nMvh Kari\nMeld deg av her", NOTHING),
    ("", "> Meld meg av", NOTHING),
    ("", "Fint!\n\nFra: Vizpro <post@example.no>\nSendt: tirsdag\nEmne: Nyhetsbrev\n\nMeld meg av", NOTHING),
    ("", "Han ba dere slette meg", NOTHING),
    ("", "", NOTHING),
]
ENGLISH = [
    ("", "Unsubscribe", W),
    ("unsubscribe", "", W),
    ("", "Please unsubscribe me from your newsletter.", W),
    ("", "Hi there,\n\nCould you please remove me from your mailing list?\n\nKind regards\nKari", W),
    ("", "Take me off your list", W),
    ("", "remove me", W),
    ("", "Opt out", W),
    ("", "Please opt me out of all marketing emails", W),
    ("", "STOP", W),
    ("", "Stop sending me emails", W),
    ("", "Stop emailing me!", W),
    ("", "Don't send me any more newsletters", W),
    ("", "I don\u2019t want to receive your newsletter anymore", W),
    ("", "I no longer wish to receive these emails.", W),
    ("", "No more emails please", W),
    ("", "I hereby withdraw my consent.", W),
    ("", "Hello, I'd like to be unsubscribed. Thanks", W),
    ("", "Unsubscribe\n\nOn Tue, Nov 3, 2026 at 10:00 AM Vizpro <post@example.no> wrote:\n> delete me", W),
    ("", "Unsubscribe\n\nOn Tue, Nov 3, 2026 at 10:00 AM Vizpro <post@example.no>\nwrote:\n> delete me", W),
    ("", "Delete me", E),
    ("", "Please delete all my personal data.", E),
    ("", "I want you to erase everything you have about me", E),
    ("", "Dear Sir or Madam,\nI request the erasure of my personal data.\nSincerely\nKari", E),
    ("Erasure request", "", E),
    ("", "I would like to exercise my right to be forgotten", E),
    ("", "Unsubscribe me and delete my data", W + E),
    ("Subject access request", "", A),
    ("", "Please send me a copy of my personal data", A),
    ("", "What data do you have about me?", A),
    ("", "I would like access to my data", A),
    ("Data portability request", "", P),
    ("", "Please export my data", P),
    ("", "Correct my personal information", R),
    ("", "Please restrict the processing of my data", LIMIT),
    ("", "I object to the processing of my personal data", OBJECT),
    ("GDPR rectification request", "", R),
    ("Restriction of processing", "", LIMIT),
    ("Objection to processing", "Thanks", OBJECT),
    # And what says nothing that we may act on.
    ("", "Do not delete me", NOTHING),
    ("", "Please don't unsubscribe me", NOTHING),
    ("", "Delete me. No, please do not do that.", NOTHING),
    ("", "How do I unsubscribe?", NOTHING),
    ("", "I don't want to unsubscribe", NOTHING),
    ("", "Why did you delete me?", NOTHING),
    ("", "Delete my last order", NOTHING),
    ("", "Please delete the attachment", NOTHING),
    ("", "Stop the delivery on Friday", NOTHING),
    ("", "Our customer wrote:\nPlease delete my data", NOTHING),
    ("", "To unsubscribe from this list, click here", NOTHING),
    ("", "Great news!\n\nYou get this because you signed up. Unsubscribe", NOTHING),
    ("", "Thanks for the newsletter, we liked it.\n\nUnsubscribe", NOTHING),
    ("Re: unsubscribe", "Done, thank you.", NOTHING),
    ("Fwd: Delete me", "FYI", NOTHING),
    ("", "Subscribe me to your newsletter", NOTHING),
    ("Access request", "We need access to the building on Monday at 8, please let the guard know.", NOTHING),
    ("", "Can we get access to the shared folder?", NOTHING),
    ("", "I object to your price", NOTHING),
    ("", "Correct my invoice", NOTHING),
]
TABLE = NORWEGIAN + ENGLISH


@pytest.mark.parametrize(("subject", "text", "intents"), TABLE, ids=[f"{one[0]}|{one[1]}"[:60] for one in TABLE])
def test_it_says_what_a_person_would_say_it_says(subject: str, text: str, intents: tuple[str, ...]) -> None:
    assert read_intent(subject, text).intents == intents


def test_the_table_is_long_enough_to_mean_something() -> None:
    for examples in (NORWEGIAN, ENGLISH):
        assert min(sum(bool(one[2]) for one in examples), sum(not one[2] for one in examples)) >= 20
    assert {intent for _, _, intents in TABLE for intent in intents} == {WITHDRAWAL, *RIGHTS}


def test_the_language_is_that_of_the_phrase() -> None:
    for examples, language in ((NORWEGIAN, "nb"), (ENGLISH, "en")):
        for subject, text, intents in examples:
            assert not intents or read_intent(subject, text).language == language


PLAIN = [text for _, text, said in TABLE if said and text and "\n" not in text]
DENIED = [text for text in PLAIN if not re.search(r"\b(ikke|not|no)\b|n.t\b|[.!] ", text)]


@pytest.mark.parametrize("text", DENIED)
def test_none_of_it_is_said_when_it_is_denied_or_quoted(text: str) -> None:
    denied = (f"Ikke {text}", f"Please do not {text}", f"Dere må ikke {text}")
    quoted = (f"> {text}", f'"{text}"', f"«{text}»", f"Kunden skrev: {text}", f"Kunden skrev:\n{text}")
    below = (f"Hei\n\nMvh\n{text}", f"Hei\n-- \n{text}", f"Hei\n\nFrom: Kari <kari@example.no>\n{text}")
    for changed in (*denied, *quoted, *below):
        assert read_intent("", changed) == Said(()), changed


def test_a_sentence_may_be_wrapped() -> None:
    text = "Jeg ønsker ikke lenger å motta verken brev eller\nnyhetsbrev"  # too short a line to be a wrapped one
    assert read_intent("", text) == Said(())
    wrapped = "Hei, jeg ber vennligst om at dere sletter alle opplysninger\ndere har om meg. Takk."
    assert read_intent("", wrapped).intents == E


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: f"{phrase.intent}-{phrase.language}-{phrase.is_clear}")
def test_every_group_of_phrases_has_an_example(phrase: object) -> None:
    told = [sentence.words for subject, text, said in TABLE if said for sentence in intent._sentences([subject, text])]
    assert any(phrase in intent._phrases_of(words) for words in told if words)


HOSTILE = [
    "meld meg av " * 2000,
    "i would like to " * 2000,
    "jeg vil gjerne " * 2000 + "meldes av",
    "og " * 5000,
    "slett alle alle alle alle alle alle alle alle alle alle alle alle alle alle alle alle alle meg",
    "stop the your this that these any all more further such future the your this that these any all more x",
    "hei," * 5000,
    "\u0000\ud83d\udc4d" * 500,
    "." * 20_000,
    "a" * 20_000,
    ">" * 20_000,
    "on " * 6000 + "wrote",
    "-" * 20_000 + "x",
    "med vennlig hilsen " * 1000,
    "\n" * 20_000,
    "re:" * 5000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_says_nothing_and_costs_little(text: str) -> None:
    began_s = time.process_time()
    for subject, body in ((text, ""), ("", text), (text, text)):
        read_intent(subject, body)
    assert time.process_time() - began_s < 1.0  # each is a few milliseconds


def documented() -> list[tuple[str, str]]:
    page = (Path(__file__).resolve().parents[2] / "docs/senders/gmail.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (a withdrawal|a request for \w+|nothing) \|$", page, re.MULTILINE)
    return [(text, said) for norwegian, english, said in rows for text in (norwegian, english)]


@pytest.mark.parametrize(("text", "said"), documented())
def test_the_page_says_what_is_understood(text: str, said: str) -> None:
    intents = read_intent("", text).intents
    assert intents == (() if said == "nothing" else (said.split()[-1],))


def test_the_page_speaks_of_every_intent() -> None:
    assert {said.split()[-1] for _, said in documented()} == {"nothing", WITHDRAWAL, *RIGHTS}
