import pytest

from bench.spelling import suggest

from .test_scenario import ARMS, CLAIM, HEAD, VALID, refusal_of


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("brigde", ("host", "bridge"), "bridge"),
        ("p50", ("p50_latency_us", "p99_latency_us"), "p50_latency_us"),
        ("p", ("p50_latency_us", "throughput_rps"), None),
        ("overlay", ("host", "bridge"), None),
        ("x", (), None),
    ],
)
def test_the_nearest_word_is_suggested_and_nothing_where_none_is_near(
    word: str, known: tuple[str, ...], meant: str | None
) -> None:
    assert suggest(word, known) == (f"; did you mean {meant}?" if meant else "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            VALID + "[load]\nconections = 2\n",
            "load.conections: is not an option here; did you mean load.conn",
        ),
        (VALID.replace('mode = "bridge"', 'mode = "brigde"'), "did you mean bridge?"),
        (VALID.replace('baseline = "host"', 'baseline = "hots"'), "did you mean host?"),
        (HEAD + "blocks = 3\n" + ARMS, "blocks: is not an option here; did you mean schedule.blocks?"),
        (VALID + "prot = 81\n", "arms.1.prot: is not an option here; did you mean arms.1.port?"),
        (VALID + '[load]\nengine = "fasthtp"\n', "did you mean fasthttp?"),
        (VALID + CLAIM + 'metrics = ["p99"]\n', "did you mean p99_latency_us?"),
        (VALID + CLAIM.replace('than = "bridge"', 'than = "brigde"'), "did you mean bridge?"),
        (VALID + "[factors]\nconnections = [1, 2]\n", "did you mean load.connections?"),
        (VALID + '[factors]\n"load.conections" = [1, 2]\n', "did you mean load.connections?"),
        (
            HEAD + 'ladder = ["host", "brigde"]\n' + ARMS,
            "ladder: there is no arm brigde; did you mean bridge?",
        ),
    ],
)
def test_a_misspelt_word_of_a_scenario_names_the_nearest_valid_one(text: str, said: str) -> None:
    assert said in refusal_of(text).seen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[load]\nzzz = 2\n", "load.zzz: is not an option here"),
        ('[factors]\n"load.zzz" = [1, 2]\n', "factors: load.zzz is not a factor"),
    ],
)
def test_a_word_that_resembles_none_gets_no_suggestion_for_its_table(text: str, said: str) -> None:
    seen = refusal_of(VALID + text).seen
    assert said in seen
    assert "did you mean" not in seen
