"""Every eraser and every exporter of the site, page by page, also those that only the administration has."""

from tests.wordpress.site import PHP, Site

KARI, OLA = "kari@example.no", "ola@example.no"


def remember(site: Site) -> None:
    """Five notes about Kari in each store, one about Ola."""
    notes = ", ".join([f"'{KARI}'"] * 5 + [f"'{OLA}'"])
    for store in ("notes-front", "notes-admin"):
        site.run(f"return update_option( '{store}', array( {notes} ) );")


def left(site: Site, store: str) -> list[str]:
    held = site.run(f"return array_values( get_option( '{store}' ) );")
    return [str(each) for each in held]


def erase(site: Site, key: str, email: str = KARI) -> list[tuple[bool, bool]]:
    """What each page removed and retained, until it is done."""
    told = []
    for page in range(1, 20):
        answer = site.ask("erase", reference="5a3c", email=email, eraser=key, page=page)
        assert set(answer) == {"removed", "retained", "done"}
        told.append((answer["removed"], answer["retained"]))
        if answer["done"]:
            return told
    raise AssertionError("no end")


def test_erasers_of_the_administration_are_there_and_the_account_comes_last(site: Site) -> None:
    erasers = site.ask("erasers")["erasers"]
    keys = [eraser["key"] for eraser in erasers]
    assert {"wordpress-comments", "notes-front", "notes-admin", "notes-kept", "samtykke-outbox"} <= set(keys)
    assert keys[-1] == "samtykke-account"
    assert {"key": "notes-front", "name": "notes-front"} in erasers, "names are text"
    in_front = site.run("return array_keys( apply_filters( 'wp_privacy_personal_data_erasers', array() ) );")
    assert "notes-admin" not in in_front
    assert "samtykke-account" not in in_front, "wp-admin erases as WordPress does"


def test_every_page_of_every_eraser_runs(site: Site) -> None:
    remember(site)
    for key in ("notes-front", "notes-admin"):
        assert erase(site, key) == [(True, False), (True, False), (True, False)]
        assert left(site, key) == [OLA]
    assert erase(site, "notes-front") == [(False, False)]


def test_an_eraser_that_asks_who_may_finds_an_administrator(site: Site) -> None:
    site.run(f"return update_option( 'notes-kept', array( '{KARI}' ) );")
    assert erase(site, "notes-kept") == [(False, True)]


def test_comments_are_anonymous_afterwards(site: Site) -> None:
    number = site.run(
        "return wp_insert_comment( array( 'comment_post_ID' => 1, 'comment_author' => 'Kari Nordmann',"
        f" 'comment_author_email' => '{KARI}', 'comment_content' => 'Hello' ) );"
    )
    assert erase(site, "wordpress-comments") == [(True, False)]
    assert site.run(f"return get_comment( {number} )->comment_author_email;") == ""


def test_the_account_goes_and_that_of_who_writes_here_stays(site: Site) -> None:
    for email, role in ((KARI, "subscriber"), (OLA, "author")):
        site.run(
            f"return wp_insert_user( array( 'user_login' => '{email}', 'user_pass' => 'x', 'user_email' => '{email}',"
            f" 'role' => '{role}' ) );"
        )
    assert erase(site, "samtykke-account") == [(True, False)]
    assert erase(site, "samtykke-account") == [(False, False)]
    assert erase(site, "samtykke-account", OLA) == [(False, True)]
    assert site.ask("account", email=KARI)["user"] is None
    assert site.ask("account", email=OLA)["user"]["roles"] == ["author"]
    site.configure({"SAMTYKKE_KEEP_ACCOUNTS": True})
    assert "samtykke-account" not in [eraser["key"] for eraser in site.ask("erasers")["erasers"]]


def test_entries_of_gravity_forms_are_gone_whatever_its_own_eraser_says(site: Site) -> None:
    site.configure({"TEST_ENTRIES": str(PHP / "entries.php")})
    site.run(
        f"$entries = array( 999 => array( 'id' => 999, '2' => '{OLA}', 'ip' => '' ) );"
        f" for ( $id = 1; $id <= 60; $id++ ) {{ $entries[ $id ] = array( 'id' => $id, '2' => '{KARI}', 'ip' => '' ); }}"
        " return update_option( 'test_entries', $entries );"
    )
    pages = [site.ask("export", email=KARI, exporter="samtykke-gravityforms", page=page) for page in (1, 2)]
    assert [(len(page["data"]), page["done"]) for page in pages] == [(50, False), (10, True)]
    assert pages[0]["data"][0]["data"] == [{"name": "id", "value": "1"}, {"name": "2", "value": KARI}]
    assert erase(site, "samtykke-gravityforms") == [(True, False), (True, False)]
    assert site.run("return array_keys( get_option( 'test_entries' ) );") == [999]
    in_front = site.run("return array_keys( apply_filters( 'wp_privacy_personal_data_erasers', array() ) );")
    assert "samtykke-gravityforms" not in in_front, "wp-admin erases as WordPress does"


def test_what_was_given_up_is_erased_and_what_waits_is_kept_and_told(site: Site) -> None:
    site.configure({"SAMTYKKE_FORMS": {"wpforms:7": "newsletter-companion"}})
    site.fire("wpforms", email=KARI, entry=1)
    site.fire("wpforms", email=KARI, entry=2)
    site.run("global $wpdb; return $wpdb->query( \"UPDATE wp_samtykke_outbox SET state = 'dead' WHERE entry = '1'\" );")
    exported = site.ask("export", email=KARI, exporter="samtykke-outbox", page=1)
    assert [item["item_id"] for item in exported["data"]] == ["samtykke-1", "samtykke-2"]
    assert erase(site, "samtykke-outbox") == [(True, True)]
    for other in (OLA, "ri@example.no"):
        assert erase(site, "samtykke-outbox", other) == [(False, False)]
    kept = "global $wpdb; return $wpdb->get_col( \"SELECT entry FROM wp_samtykke_outbox WHERE body <> ''\" );"
    assert site.run(kept) == ["2"]


def test_an_export_has_every_page_of_every_exporter(site: Site) -> None:
    remember(site)
    keys = [exporter["key"] for exporter in site.ask("exporters")["exporters"]]
    assert {"wordpress-user", "wordpress-comments", "notes-front", "notes-admin", "samtykke-outbox"} <= set(keys)
    items, page, done = [], 0, False
    while not done:
        page += 1
        answer = site.ask("export", email=KARI, exporter="notes-admin", page=page)
        items += answer["data"]
        done = answer["done"]
    assert page == 5
    assert items[0] == {
        "group_label": "Notes & more",
        "item_id": "note-0",
        "data": [{"name": "E-mail", "value": KARI}],
    }
