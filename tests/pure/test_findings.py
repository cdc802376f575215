"""What a walkthrough stores, and its tables and page."""

from pathlib import Path

import pytest

from bench.errors import InputError
from bench.records.findings import (
    WALKTHROUGH_SCHEMA_VERSION,
    EngineWalk,
    Evidence,
    Finding,
    Source,
    WalkthroughRecord,
    Word,
    comparison_columns,
    comparison_rows,
    count_words,
    differing,
    finding_rows,
    summarise,
)
from bench.results import store
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.page import render_markdown
from bench.walkthrough.statements import SUBJECTS
from bench.walkthrough.transcript import trim
from bench.walkthrough.trial import judge
from bench.walkthrough.walk import rules_of


def make_finding(id_: str, word: Word, **changes: object) -> Finding:
    whole = {
        "id": id_,
        "subject": "Host mode",
        "source": Source.ARTICLE,
        "statement": "It is so.",
        "done": "Looked.",
        "word": word,
        "seen": "It was a | b.",
        "checks": {"the page came": word is Word.CONFIRMED},
        "evidence": (Evidence(host="docker1", command="iptables -S INPUT", output="-P INPUT DROP"),),
    }
    return Finding.model_validate(whole | changes)


def make_walk(engine: str, *words: Word) -> EngineWalk:
    findings = tuple(make_finding(f"statement-{number}", word) for number, word in enumerate(words))
    return EngineWalk(
        engine=engine, version="20.10", api="1.41", storage_driver="overlay2", findings=findings
    )


def make_record(*walks: EngineWalk, **changes: object) -> WalkthroughRecord:
    whole = {
        "schema_version": WALKTHROUGH_SCHEMA_VERSION,
        "id": "20260101T000000Z-abcd",
        "bench_version": "0",
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:01:00+00:00",
        "machine": {"kernel": "6.1"},
        "tools": {"iptables": "iptables v1.8.9"},
        "hosts": {"docker1": "198.18.0.100/24, 198.18.0.200/24"},
        "walks": walks,
    }
    return WalkthroughRecord.model_validate(whole | changes)


def test_a_record_is_the_same_after_it_was_stored_and_read() -> None:
    record = make_record(make_walk("machine", *Word), unavailable={"debian:forky": "no mirror"})

    assert WalkthroughRecord.model_validate_json(record.model_dump_json()) == record


def test_a_walkthrough_that_does_not_hold_together_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    checks = ({"seen": True}, {"seen": False, "heard": True})
    findings = (
        make_finding("one", Word.CONFIRMED, checks=checks[1]),
        make_finding("one", Word.REFUTED, checks=checks[0]),
    )
    walk = make_walk("machine").model_copy(update={"findings": findings})
    record = make_record(make_walk("debian:sid"), walk, walk, unavailable={"machine": "no engine"})
    (tmp_path / "walkthrough.json").write_text(record.model_dump_json())

    with pytest.raises(InputError) as caught:
        store.read_walkthrough(tmp_path)
    for told in (
        "its walkthrough.json has 8 faults",
        "walks: the engine machine is there twice",
        "unavailable: machine could not be had, and was walked",
        "walks.1.findings: one is there twice",
        "walks.1.findings.0.word: CONFIRMED, and not seen: seen",
        "walks.1.findings.1.word: REFUTED, and all of its checks held",
    ):
        assert told in caught.value.seen


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"word":"CONFIRMED"', '"word":"SURE"', "walks.0.findings.0.word: Input should be"),
        ('"schema_version":1', '"schema_version":2', "newer than those that this bench reads: 1"),
        ('"finished_at":"2026', '"finished_at":"soon 2026', "finished_at: 'soon 2026"),
    ],
)
def test_a_walkthrough_of_words_that_are_none_or_of_another_version_is_refused(
    old: str, new: str, told: str, tmp_path: Path
) -> None:
    text = make_record(make_walk("machine", *Word)).model_dump_json()
    (tmp_path / "walkthrough.json").write_text(text)
    assert store.read_walkthrough(tmp_path)
    assert old in text

    (tmp_path / "walkthrough.json").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        store.read_walkthrough(tmp_path)
    assert told in caught.value.seen


def test_words_are_counted_in_their_order_and_only_those_that_were_given() -> None:
    walk = make_walk("machine", Word.REFUTED, Word.CONFIRMED, Word.CONFIRMED)

    assert count_words(walk) == {Word.CONFIRMED: 2, Word.REFUTED: 1}
    assert summarise(walk) == "3 statements: 2 CONFIRMED, 1 REFUTED"


def test_engines_are_compared_statement_by_statement_and_differences_are_named() -> None:
    old = make_walk("machine", Word.CONFIRMED, Word.CONFIRMED)
    new = make_walk("debian:forky", Word.CONFIRMED, Word.CHANGED_SINCE, Word.NOT_TESTABLE)
    record = make_record(old, new)

    assert comparison_columns(record) == ("statement", "machine (20.10)", "debian:forky (20.10)")
    assert comparison_rows(record) == [
        ("statement-0", "CONFIRMED", "CONFIRMED"),
        ("statement-1", "CONFIRMED", "CHANGED SINCE"),
        ("statement-2", "", "NOT TESTABLE HERE"),
    ]
    assert differing(record) == ["statement-1", "statement-2"]
    assert finding_rows(old)[0] == ("statement-0", "CONFIRMED", "It was a | b.")


def test_the_page_holds_every_statement_with_its_commands_and_their_output() -> None:
    finding = make_finding("with-a-fence", Word.REFUTED, left_behind=("rules of docker1: new -A INPUT",))
    walk = make_walk("machine", Word.CONFIRMED).model_copy(update={"findings": (finding,)})
    page = render_markdown(make_record(walk, walk, unavailable={"debian:forky": "no mirror"}))

    assert "| with-a-fence | REFUTED | It was a \\| b. |" in page
    assert "[docker1] iptables -S INPUT\n-P INPUT DROP" in page
    assert "- NO: the page came" in page
    assert "LEFT BEHIND (a bug of bench): rules of docker1" in page
    assert "debian:forky could not be had: no mirror" in page
    assert "bench run article" in page


def test_output_with_a_fence_in_it_does_not_end_the_pages_block() -> None:
    evidence = Evidence(host="docker1", command="cat", output="```\nx\n```", status=1)
    walk = make_walk("machine").model_copy(
        update={"findings": (make_finding("fenced", Word.CONFIRMED, evidence=(evidence,)),)}
    )
    page = render_markdown(make_record(walk))

    assert "````text\n[docker1] cat\n```\nx\n```\n(exit status 1)\n````" in page


def test_what_an_engine_says_is_no_markup_of_the_page() -> None:
    hostile = "![x](http://198.18.0.1/x.png) <b>\x1b[31m | # \n\n# Title"
    finding = make_finding(
        "hostile", Word.REFUTED, seen=hostile, left_behind=(hostile,), checks={hostile: True}
    )
    walk = make_walk("machine").model_copy(update={"findings": (finding,)})
    page = render_markdown(
        make_record(walk, unavailable={"debian:forky": hostile}, hosts={"docker1": hostile})
    )

    assert "![x]" not in page
    assert page.count("<b>") == page.count("\\<b>")
    assert "\x1b" not in page
    assert "\n# Title" not in page
    assert page.count("!\\[x\\](http") == 6  # The table's as well.


def test_a_statement_is_confirmed_by_all_of_its_checks_and_names_those_that_failed() -> None:
    assert judge({"a": True, "b": True}, "Both.").word is Word.CONFIRMED
    refuted = judge({"a": True, "b": False}, "Both.")
    assert (refuted.word, refuted.seen) == (Word.REFUTED, "Not seen: b.")


def test_long_output_keeps_its_ends_and_says_how_much_was_left_out() -> None:
    trimmed = trim("\n".join(f"line {number}" for number in range(1000)), lines=30)

    assert trimmed.startswith("line 0\n")
    assert trimmed.endswith("line 999")
    assert "... (970 lines left out)" in trimmed
    assert len(trim("x" * 100_000)) < 7000
    assert trim("a  \nb\n\n") == "a\nb"


def test_rules_are_compared_without_counters_comments_and_empty_tables() -> None:
    saved = (
        "# Generated by iptables-save\n*raw\n:PREROUTING ACCEPT [5:300]\nCOMMIT\n"
        "*filter\n:INPUT DROP [1:60]\n:DOCKER - [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
    )

    assert rules_of(saved) == ["filter INPUT DROP", "filter DOCKER -", "filter -A INPUT -i lo -j ACCEPT"]


def test_a_container_is_asked_for_as_a_person_types_it() -> None:
    ask = Ask("web1", "host", publish=("81:80",), listen="82", cap_add=("NET_ADMIN",), command=serve("web1"))

    assert ask.line.startswith(
        "docker run -d --name web1 --network host -p 81:80 -e BENCH_LISTEN=82 --cap-add NET_ADMIN bench sh -c"
    )


def test_every_statement_has_an_id_of_its_own_and_says_what_is_done() -> None:
    statements = [statement for of_subject in SUBJECTS.values() for statement in of_subject]
    ids = [statement.id for statement in statements]

    assert len(set(ids)) == len(ids)
    for statement in statements:
        assert statement.text
        assert statement.done


@pytest.mark.parametrize("word", Word)
def test_every_word_is_explained_on_the_page(word: Word) -> None:
    assert f"**{word}**:" in render_markdown(make_record(make_walk("machine", word)))
