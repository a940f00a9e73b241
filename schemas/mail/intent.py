"""The intent of a mail: which phrases of the closed list it says. What is not clearly said is not said.

From is easily forged and words are easily misread, so this only ever starts what harms nobody: a withdrawal, or a
request that the person is asked to confirm.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.mail.own_words import own_lines
from schemas.mail.phrases import INTENTS, PHRASES, Phrase

SENTENCE_SIZE_MAX = 160  # characters; the longest phrase with polite words is shorter
WRAPPED_LINE_SIZE_MIN = 50  # characters; a line as long as this that ends without a full stop goes on in the next
OTHER_WORDS_MAX = 3  # beside a bare word: a name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REPLY = re.compile(r"\s*(?:re|sv|fwd?|vs|vb|aw|wg)\s*:", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?;])(?:\s+|$)")
# Quotation marks and colons stay: who writes them is telling what somebody else said.
_MARKS = re.compile(r"[^\w\s'\"“”«»„‟:&,-]|_")
_AND = frozenset({"og", "and", "&"})
_GREETINGS = _words("hei hallo heisann halla hey hi hello dear kjære god goddag dag morgen kveld")
_GREETED = _words("igjen der dere alle sammen there all team again everyone")
# Words around a phrase that change nothing about it. No word that denies, asks how, or speaks of somebody else.
_BEFORE = _words(
    "vennligst venligst kan kunne du dere jeg eg vil ønsker ønskjer skulle må gjerne herved nå å også ber om at "
    "vær så snill snille bare please pls plz kindly can could would will you i i'd like want wish need to also just "
    "now hereby immediately"
)
_AFTER = _words(
    "takk tusen mange på forhånd nå snarest straks umiddelbart så fort raskt som mulig med en gang i dag vær snill "
    "please thanks thank you very so much in advance now immediately asap today permanently"
)
_ANYWHERE = _words("også also herved hereby")
_DENIED = re.compile(
    r"\b(?:ikke|ikkje|aldri|not|never|don't|dont|didn't|nei|angre[rt]?|likevel)\b.*\b(?:meld\w*|avmeld\w*|slett\w*|"
    r"fjern\w*|innsyn|gjør|unsubscrib\w*|delet\w*|eras\w*|remov\w*|do (?:it|that|so))\b"
)


@dataclass(frozen=True, slots=True)
class Said:
    """`intents`: `withdrawal` and rights of schemas.entry.RIGHTS, in that order; empty if nothing is clear."""

    intents: tuple[str, ...]
    language: str = "nb"


@dataclass(frozen=True, slots=True)
class _Sentence:
    words: str
    is_question: bool


def read_intent(subject: str, text: str) -> Said:
    """`subject` and `text` as they were written, encoded words decoded."""
    heading = [] if _REPLY.match(subject) else own_lines(subject)
    sentences = [*_sentences(heading[:1]), *_sentences(own_lines(text))]
    found: list[Phrase] = []
    others: list[_Sentence] = []
    for sentence in sentences:
        phrases = [each for each in _phrases_of(sentence.words) if each.is_clear or not sentence.is_question]
        found += phrases
        if not phrases and not _is_polite(sentence.words):
            others.append(sentence)
    if any(_DENIED.search(other.words) for other in others):
        return Said(())
    if sum(len(other.words.split()) for other in others) > OTHER_WORDS_MAX or any(one.is_question for one in others):
        found = [phrase for phrase in found if phrase.is_clear]
    said = {phrase.intent for phrase in found}
    return Said(tuple(intent for intent in INTENTS if intent in said), found[0].language if found else "nb")


def _sentences(lines: Sequence[str]) -> Iterator[_Sentence]:
    is_quoted = False
    for line in _unwrapped(lines):
        for part in _END.split(line):
            words = " ".join(_MARKS.sub(" ", part.casefold()).split()).strip(" ,-")
            if words and not is_quoted:
                yield _Sentence(words, part.rstrip().endswith("?"))
        is_quoted = line.endswith(":")  # what follows is what somebody else said


def _unwrapped(lines: Sequence[str]) -> Iterator[str]:
    held = ""
    for line in lines:
        held = f"{held} {line}" if held else line
        if len(line) < WRAPPED_LINE_SIZE_MIN or line.endswith((".", "!", "?", ":", ";")):
            yield held
            held = ""
    if held:
        yield held


def _phrases_of(sentence: str) -> list[Phrase]:
    """Those that make up the whole sentence: one, or several joined by `og`."""
    if len(sentence) > SENTENCE_SIZE_MAX:
        return []
    words = [word for word in _without_greeting(sentence).replace(",", " ").split() if word not in _ANYWHERE]
    whole = _phrase_of(words)
    if whole is not None:
        return [whole]
    found = []
    for part in _parted(words):
        phrase = _phrase_of(part)
        if phrase is not None:
            found.append(phrase)
        elif not _BEFORE.issuperset(part):  # `vær så snill og`
            return []
    return found


def _phrase_of(words: Sequence[str]) -> Phrase | None:
    """The phrase that is left when polite words are taken away at both ends; the longest one, a clear one first."""
    cores = [" ".join(words[begin:end]) for begin in _beginnings(words) for end in _endings(words) if begin < end]
    for phrase in PHRASES:
        if any(phrase.pattern.fullmatch(core) for core in cores):
            return phrase
    return None


def _beginnings(words: Sequence[str]) -> Iterator[int]:
    yield 0
    for number, word in enumerate(words, 1):
        if word not in _BEFORE:
            return
        yield number


def _endings(words: Sequence[str]) -> Iterator[int]:
    yield len(words)
    for number in range(len(words) - 1, 0, -1):
        if words[number] not in _AFTER:
            return
        yield number


def _parted(words: Sequence[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word in _AND:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _without_greeting(sentence: str) -> str:
    """`hei`, alone or with whom it greets: up to a comma if one follows within three words."""
    words = sentence.split()
    if words[0].strip(",") not in _GREETINGS:
        return sentence
    for number, word in enumerate(words[:5]):
        if word.endswith(","):
            return " ".join(words[number + 1 :])
    number = 1
    while number < len(words) and words[number] in _GREETINGS | _GREETED:
        number += 1
    return " ".join(words[number:])


def _is_polite(sentence: str) -> bool:
    """Says nothing: a greeting with up to three words, or thanks."""
    words = sentence.replace(",", " ").split()
    if words[0] in _GREETINGS:
        return len(words) <= 4 or all(word in _GREETINGS | _GREETED | _AFTER for word in words)
    return all(word in _AFTER for word in words)
