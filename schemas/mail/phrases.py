"""The phrases: a closed list of what a mail can say to us, in bokmål and English. docs/senders/gmail.md explains it.

Each is a whole sentence, without polite words around it. `clear` ones say it whatever stands beside them; a `bare` word
or heading counts only where hardly anything else is said, because it could also be what a mail is about.
"""

import re
from dataclasses import dataclass

from schemas.entry import RIGHTS

WITHDRAWAL = "withdrawal"
INTENTS = (WITHDRAWAL, *RIGHTS)

# What is sent.
_NEWS_NB = (
    r"(?:(?:dette|det|disse|de|alle|alt|flere|mer|noe mer|noen flere|slike?|deres) )*"
    r"(?:nyhetsbrev(?:et|ene|a)?|(?:e-?post|mail|mailing|adresse)?list(?:e|en|a|er|ene)|utsending(?:er|en|ene)?|"
    r"utsendelse(?:r|n|ne)?|e-?post(?:en|ene|er)?|mail(?:en|ene|er|s)?|reklame(?:n|mail|e-?post)?|"
    r"markedsføring(?:en)?|tilbud(?:et|ene|smail(?:er|ene)?)?)(?: deres| fra dere)?"
)
_NEWS_EN = (
    r"(?:(?:the|your|this|that|these|any|all|more|further|such|future) )*"
    r"(?:newsletters?|(?:e-?mail|mailing|newsletter|distribution)? ?lists?|e-?mails?|mails?|updates|"
    r"(?:marketing|promotional)(?: (?:e-?mails?|messages|material))?)(?: from you)?(?: any ?more| any longer)?"
)
# What is kept about the person. It must say whose it is: "slett data" could mean anything.
_KEPT_NB = r"(?:person(?:lige )?)?(?:opplysning(?:er|ene)|data(?:ene)?|informasjon(?:en)?)"
_OWN_NB = (
    rf"(?:(?:alle |all )?(?:de )?(?:mine|min) {_KEPT_NB}|(?:alle |all )?(?:de )?{_KEPT_NB} (?:mine|min)|"
    rf"(?:alle |all )?(?:de )?{_KEPT_NB}(?: (?:som )?dere (?:har|lagrer|behandler)(?: lagret)?)? (?:om|på) meg|"
    r"alt (?:(?:som )?dere har (?:lagret )?)?(?:om|på) meg)"
)
_KEPT_EN = r"(?:personal )?(?:data|information|info|details)"
_OWN_EN = (
    rf"(?:(?:all |any )?(?:of )?my {_KEPT_EN}|(?:all |any )?(?:the |of the )?{_KEPT_EN}"
    r"(?: (?:that )?you (?:have|hold|store|keep))? (?:about|on) me|"
    r"everything (?:(?:that )?you (?:have|hold|store|keep) )?(?:about|on) me)"
)
_FROM_NB = r"(?: (?:helt )?(?:fra|i) (?:deres )?(?:systeme(?:t|r|ne)|database(?:n)?|registe?re?t?))?"
_FROM_EN = r"(?: from your (?:systems?|databases?|records|files))?"


@dataclass(frozen=True, slots=True)
class Phrase:
    """`pattern` must match a whole sentence in lower case."""

    intent: str
    language: str
    is_clear: bool
    pattern: "re.Pattern[str]"


_CLEAR: dict[tuple[str, str], tuple[str, ...]] = {
    (WITHDRAWAL, "nb"): (
        rf"meld(?:e)? meg av(?: (?:(?:fra|på|for) )?(?:{_NEWS_NB}|alt))?",
        rf"meld(?:e)? meg (?:av|ut) (?:fra|av) {_NEWS_NB}",
        rf"(?:meldes av|bli (?:av)?meldt(?: av)?|bli avmeldt)(?: (?:(?:fra|på) )?{_NEWS_NB})?",
        rf"avmeld(?:e)? (?:meg(?: (?:(?:fra|på) )?{_NEWS_NB})?|{_NEWS_NB})",
        rf"(?:fjerne?|ta|slette?r?|stryke?) (?:meg|(?:e-?post)?adressen min|min (?:e-?post)?adresse) "
        rf"(?:fra|av|bort fra) {_NEWS_NB}",
        "fjerne? meg",
        rf"(?:stopp(?:e)?|avslutte?|stanse?|avbestille?|si(?:e)? opp|slutte?)(?: å sende(?: meg)?)? {_NEWS_NB}",
        rf"ikke sende? (?:meg )?{_NEWS_NB}(?: lenger| mer| igjen)?",
        rf"ikke (?:lenger |mer )?(?:å )?(?:motta|få|ha) {_NEWS_NB}(?: lenger| mer)?",
        rf"ikke (?:ha )?{_NEWS_NB}(?: lenger| mer)",
        r"trekke?r? (?:herved )?(?:(?:tilbake )?(?:samtykket(?: mitt)?|mitt samtykke)|"
        r"(?:samtykket(?: mitt)?|mitt samtykke) tilbake)",
    ),
    (WITHDRAWAL, "en"): (
        rf"unsubscribe (?:me|us)(?: from {_NEWS_EN})?",
        rf"(?:unsubscribe|opt[ -]out) (?:from|of) {_NEWS_EN}",
        rf"be (?:unsubscribed|removed|taken off)(?: (?:from )?{_NEWS_EN})?",
        rf"(?:remove|take|delete) (?:me|my (?:e-?mail|e-?mail address|address)) (?:from|off|off of) {_NEWS_EN}",
        "remove me",
        rf"opt me out(?: of {_NEWS_EN})?",
        r"stop (?:(?:e-?)?mailing|contacting) me",
        rf"stop (?:(?:sending(?: me)?) )?{_NEWS_EN}",
        rf"(?:do not|don't|dont) (?:e-?mail me(?: again| any ?more)?|send me {_NEWS_EN})",
        rf"no more {_NEWS_EN}",
        rf"(?:(?:do not|don't|dont|no longer) (?:want|wish)(?: to (?:receive|get))?) {_NEWS_EN}",
        "withdraw my consent",
    ),
    ("erasure", "nb"): (
        rf"slette?r? (?:meg|{_OWN_NB}){_FROM_NB}",
        rf"(?:bli slettet|slettes){_FROM_NB}",
        rf"(?:(?:krever|ønsker|kreve) )?(?:sletting av {_OWN_NB}|{_OWN_NB} slettet)",
        "(?:bruke |kreve )?(?:retten min|min rett) til (?:sletting|å bli (?:slettet|glemt))",
    ),
    ("erasure", "en"): (
        rf"(?:delete|erase) (?:me|{_OWN_EN}){_FROM_EN}",
        rf"be (?:deleted|erased|forgotten){_FROM_EN}",
        rf"(?:request|have|demand) (?:the )?(?:(?:deletion|erasure) of {_OWN_EN}|{_OWN_EN} (?:deleted|erased))",
        "exercise my right (?:to erasure|to be forgotten)",
    ),
    ("access", "nb"): (
        rf"(?:(?:ber|be|krever|kreve|begjærer) (?:om )?|få |ha |gi meg |ønsker )innsyn(?: i {_OWN_NB})?",
        rf"innsyn i {_OWN_NB}",
        rf"sende? meg (?:en )?(?:kopi|oversikt) (?:av|over) {_OWN_NB}",
        r"(?:hva|hvilke? (?:person)?(?:opplysninger|data|informasjon)) (?:har dere|dere har)(?: lagret)? (?:om|på) meg",
    ),
    ("access", "en"): (
        rf"(?:request |have |get |give me )?access to {_OWN_EN}",
        rf"(?:send me |request |get |have )?a copy of {_OWN_EN}",
        r"what (?:personal )?(?:data|information) (?:do )?you (?:have|hold|store|keep) (?:about|on) me",
        "(?:make|submit|making|submitting) (?:a |an )?(?:data )?(?:subject )?access request",
    ),
    ("portability", "nb"): (
        "(?:ber|be|krever|kreve) (?:om )?dataportabilitet",
        rf"(?:få |ha )?(?:utlevere?t? )?{_OWN_NB} i (?:et )?(?:maskinlesbart|strukturert) format",
    ),
    ("portability", "en"): (
        "(?:request|exercise my right to) (?:the )?(?:data )?portability",
        rf"export {_OWN_EN}",
        rf"(?:send me )?{_OWN_EN} in a (?:structured|machine[ -]readable) format",
    ),
    ("rectification", "nb"): (
        rf"(?:rette?(?: opp)?(?: i)?|korrigere?) {_OWN_NB}",
        rf"(?:retting|rettelse|korrigering) av {_OWN_NB}",
    ),
    ("rectification", "en"): (rf"(?:correct|rectify) {_OWN_EN}", rf"(?:request )?rectification of {_OWN_EN}"),
    ("restriction", "nb"): (
        rf"begrense?r? (?:behandlingen|bruken)(?: av {_OWN_NB})?",
        rf"begrensning av (?:behandling(?:en)?|bruken) av {_OWN_NB}",
    ),
    ("restriction", "en"): (
        rf"restrict (?:the )?(?:processing|use) of {_OWN_EN}",
        rf"(?:request )?restriction of (?:the )?processing of {_OWN_EN}",
    ),
    ("objection", "nb"): (rf"(?:protesterer|motsetter meg) (?:mot |på )?(?:behandlingen|bruken) av {_OWN_NB}",),
    ("objection", "en"): (rf"object to (?:the |your )?(?:processing|use) of {_OWN_EN}",),
}
_BARE: dict[tuple[str, str], tuple[str, ...]] = {
    (WITHDRAWAL, "nb"): (rf"avmelding(?: (?:av|fra|på) {_NEWS_NB})?", rf"(?:avmeld|meld av)(?: {_NEWS_NB})?", "stopp"),
    (WITHDRAWAL, "en"): ("unsubscribe", "opt[ -]out", "stop"),
    ("erasure", "nb"): ("(?:(?:krav|begjæring) om )?sletting",),
    ("erasure", "en"): ("(?:gdpr )?(?:data )?(?:erasure|deletion)(?: request)?", "right to be forgotten"),
    ("access", "nb"): ("(?:(?:krav|begjæring) om )?innsyn", "innsyns(?:krav|begjæring)"),
    ("access", "en"): ("(?:gdpr )?(?:data )?(?:subject )?access request", "dsar"),
    ("portability", "nb"): ("(?:(?:krav|begjæring) om )?dataportabilitet",),
    ("portability", "en"): ("(?:gdpr )?data portability(?: request)?",),
    ("rectification", "nb"): ("(?:krav|begjæring) om (?:retting|rettelse)",),
    ("rectification", "en"): ("(?:gdpr )?(?:data )?rectification request",),
    ("restriction", "nb"): ("(?:krav om )?begrensning av behandling(?:en)?",),
    ("restriction", "en"): ("restriction of processing",),
    ("objection", "nb"): ("protest mot behandling(?:en)?",),
    ("objection", "en"): ("objection to processing",),
}
PHRASES = tuple(
    Phrase(intent, language, is_clear, re.compile("|".join(f"(?:{pattern})" for pattern in patterns)))
    for is_clear, listed in ((True, _CLEAR), (False, _BARE))
    for (intent, language), patterns in listed.items()
)
