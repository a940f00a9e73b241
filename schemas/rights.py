"""What the rights of GDPR Articles 15 to 21 are called in mails and on pages, and what each asks for."""

from collections.abc import Mapping

from schemas.policy import Text

RIGHT_NAMES: Mapping[str, Text] = {
    "access": Text(
        nb="Innsyn: få vite hva vi har lagret om deg, og få en kopi",
        en="Access: to be told what we hold about you, and to get a copy",
    ),
    "rectification": Text(
        nb="Retting: få rettet opplysninger om deg som er feil",
        en="Rectification: to have what is wrong about you put right",
    ),
    "erasure": Text(
        nb="Sletting: få slettet opplysningene om deg",
        en="Erasure: to have what we hold about you deleted",
    ),
    "restriction": Text(
        nb="Begrensning: at opplysningene om deg lagres, men ikke brukes",
        en="Restriction: that what we hold about you is stored, but not used",
    ),
    "objection": Text(
        nb="Protest: at vi ikke lenger bruker opplysningene om deg",
        en="Objection: that we no longer use what we hold about you",
    ),
    "portability": Text(
        nb="Dataportabilitet: få med deg opplysningene du har gitt oss, i et vanlig filformat",
        en="Portability: to take what you gave us with you, in a common file format",
    ),
}

# GDPR Article 18(1)(a) to (d): when somebody may demand it.
RESTRICTION_REASONS: Mapping[str, Text] = {
    "accuracy_contested": Text(
        nb="Opplysningene er feil, og dere må sjekke dem først",
        en="What you hold is wrong, and you must check it first",
    ),
    "unlawful": Text(
        nb="Dere har ikke lov til å bruke dem, men jeg vil ikke at de slettes",
        en="You may not use it by law, but I do not want it deleted",
    ),
    "claims": Text(
        nb="Jeg trenger dem selv i et rettskrav",
        en="I need it myself for a legal claim",
    ),
    "objection": Text(
        nb="Jeg har protestert, og vil vente på svaret",
        en="I have objected, and wait for the answer",
    ),
}
