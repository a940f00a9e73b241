"""Boxes, commitments and tags: what opens, with which version, and what never does."""

import pytest

from ledger.errors import SealError
from ledger.keyring import Key
from ledger.sealing import (
    commitment,
    open_inbox_box,
    public_of,
    seal,
    seal_for_inbox,
    seal_versioned,
    tag,
    unseal,
    unseal_versioned,
)

OLD, NEW = bytes([1]) * 32, bytes([2]) * 32
BEFORE, KNOWN, USED, AFTER = Key(1, {1: OLD}), Key(1, {1: OLD, 2: NEW}), Key(2, {1: OLD, 2: NEW}), Key(2, {2: NEW})


def test_a_box_names_the_version_that_sealed_it() -> None:
    assert [seal_versioned(key, b"kari", b"row")[0] for key in (BEFORE, KNOWN, USED, AFTER)] == [1, 1, 2, 2]
    assert [seal_for_inbox(public_of(key), b"kari", b"row", 0)[0] for key in (BEFORE, KNOWN, USED, AFTER)] == [
        1,
        1,
        2,
        2,
    ]


@pytest.mark.parametrize("sealing", [BEFORE, KNOWN, USED, AFTER])
@pytest.mark.parametrize("opening", [BEFORE, KNOWN, USED, AFTER])
def test_whoever_knows_the_version_opens_the_box(sealing: Key, opening: Key) -> None:
    box, delivery = seal_versioned(sealing, b"kari", b"row"), seal_for_inbox(public_of(sealing), b"kari", b"row", 0)
    if sealing.current in opening.versions:
        assert unseal_versioned(opening, box, b"row") == open_inbox_box(opening, delivery, b"row") == b"kari"
    else:
        with pytest.raises(SealError, match="key_version_unknown"):
            unseal_versioned(opening, box, b"row")
        with pytest.raises(SealError, match="inbox_key_unknown"):
            open_inbox_box(opening, delivery, b"row")


def test_a_box_opens_in_its_own_place_and_unchanged_only() -> None:
    box, delivery = seal_versioned(BEFORE, b"kari", b"row"), seal_for_inbox(public_of(BEFORE), b"kari", b"row", 0)
    for changed in (box[:-1], box[:-1] + bytes([box[-1] ^ 1]), box[:5], box[:1], b""):
        with pytest.raises(SealError):
            unseal_versioned(BEFORE, changed, b"row")
    for changed in (delivery[:-1], delivery[:-1] + bytes([delivery[-1] ^ 1]), delivery[:5], delivery[:1], b""):
        with pytest.raises(SealError):
            open_inbox_box(BEFORE, changed, b"row")
    with pytest.raises(SealError, match="box_does_not_open"):
        unseal_versioned(BEFORE, box, b"another row")
    with pytest.raises(SealError, match="inbox_box_does_not_open"):
        open_inbox_box(BEFORE, delivery, b"another row")


def test_one_plaintext_makes_two_boxes() -> None:
    assert seal(OLD, b"kari", b"row") != seal(OLD, b"kari", b"row")
    assert unseal(OLD, seal(OLD, b"kari", b"row"), b"row") == b"kari"


def test_the_public_half_has_every_version_and_opens_nothing() -> None:
    public = public_of(USED)
    assert (public.current, set(public.versions)) == (2, {1, 2})
    assert not set(public.versions.values()) & set(USED.versions.values())
    with pytest.raises(SealError):
        open_inbox_box(public, seal_for_inbox(public, b"kari", b"row", 0), b"row")


def test_tags_and_commitments_differ_by_key_purpose_and_salt() -> None:
    assert len({tag(key, purpose, "kari") for key in (OLD, NEW) for purpose in ("narrow", "wide")}) == 4
    assert commitment(OLD, b"kari") != commitment(NEW, b"kari")
