"""The file itself: one that PHP reads, with what an administrator and a visitor see of it."""

import re
import subprocess

import requests

from tests.wordpress.site import PLUGIN, Site


def test_php_reads_it_without_a_complaint(site: Site) -> None:
    done = subprocess.run([*site.parts.php, "-l", str(PLUGIN)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("No syntax errors"), done.stdout


def test_every_function_of_it_is_named_after_it_and_says_what_it_does() -> None:
    text = PLUGIN.read_text(encoding="utf-8")
    functions = re.findall(r"(?m)^(.*)\nfunction (\w+)\(", text)
    assert len(functions) > 80
    assert [name for before, name in functions if before != " */" or not name.startswith("samtykke_")] == []


def test_the_version_is_said_once_more_where_wordpress_looks_for_it() -> None:
    text = PLUGIN.read_text(encoding="utf-8")
    written = re.findall(r"(?m)^ \* Version: (\S+)$", text) + re.findall(r"SAMTYKKE_VERSION += '(\S+)'", text)
    assert written == ["1.0.0", "1.0.0"]


def test_what_is_missing_is_told_to_administrators_only(site: Site) -> None:
    site.configure({"SAMTYKKE_URL": "", "SAMTYKKE_SECRET": "not one"})
    shown = "ob_start(); do_action( 'admin_notices' ); return ob_get_clean();"
    assert site.run(shown) == ""
    told = site.run(f"wp_set_current_user( 1 ); {shown}")
    assert told.count("notice-error") == 2
    assert "SAMTYKKE_URL is missing" in told
    assert "SAMTYKKE_SECRET is missing" in told
    site.configure({})
    assert site.run(f"wp_set_current_user( 1 ); {shown}") == ""


def test_a_page_links_to_the_preferences_and_shows_nothing_about_anybody(site: Site) -> None:
    site.run(
        "return wp_insert_post( array( 'post_type' => 'page', 'post_status' => 'publish', 'post_name' => 'consents',"
        " 'post_title' => 'C', 'post_content' => '[samtykke_preferences]Mine & yours[/samtykke_preferences]' ) );"
    )
    assert "<a" not in requests.get(f"{site.url}/consents/", timeout=60).text
    site.configure({"SAMTYKKE_PREFERENCES_URL": "https://samtykke.example.org/preferences"})
    page = requests.get(f"{site.url}/consents/", timeout=60).text
    assert '<a class="samtykke-preferences" href="https://samtykke.example.org/preferences">' in page


def test_the_cron_of_every_minute_is_planned_once(site: Site) -> None:
    for _ in range(2):
        assert requests.get(f"{site.url}/", timeout=60).status_code == 200
    planned = site.run(
        "$found = array(); foreach ( _get_cron_array() as $hooks ) { foreach ( $hooks as $name => $each )"
        " { if ( 'samtykke_flush' === $name ) { $found = array_merge( $found, array_values( $each ) ); } } }"
        " return wp_list_pluck( $found, 'interval' );"
    )
    assert planned == [60]
