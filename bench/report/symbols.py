"""Every word's sign, and the colours and marks of figures."""

from bench.judgement.change import ChangeWord
from bench.judgement.claim import ClaimWord
from bench.judgement.comparison import Word
from bench.judgement.regions import Region
from bench.records import findings
from bench.report.table import NOT_AVAILABLE
from bench.wire.hops import Group

DIFFERS = "DIFFERS"
"""In place of BETTER and WORSE where an arm stands against itself: neither half can be better."""

SYMBOLS = {
    Word.BETTER: "▲",
    Word.WORSE: "▼",
    Word.EQUIVALENT: "=",
    Word.INCONCLUSIVE: "?",
    Region.UNDECIDED: "?",
    Word.INVALID: "✕",
    DIFFERS: "≠",
    NOT_AVAILABLE: "∅",
    ChangeWord.CHANGED: "Δ",
    ChangeWord.NO_PRACTICAL_CHANGE: "=",
    ClaimWord.SUPPORTED: "✓",
    ClaimWord.NEGLIGIBLE: "≈",
    ClaimWord.NO_DIFFERENCE: "=",
    ClaimWord.REFUTED: "✕",
    ClaimWord.MIXED: "±",
    ClaimWord.INCONCLUSIVE: "?",
    findings.Word.CONFIRMED: "✓",
    findings.Word.CHANGED_SINCE: "Δ",
    findings.Word.NOT_TESTABLE: "∅",
}
"""A sign before each word, so that colour is never the only mark. The words of a map are those of a
comparison, and have their signs."""

PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#8228DC",
    "#A04628",
    "#BEA064",
    "#A04682",
)
"""Okabe & Ito's six that stand out on white and on black, and four more that are farthest from them and
from one another, for colour-blind readers too (Machado 2009; 17 or more in CIELAB, the six have 16)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "*", "<")
GATE_MARKERS = ("x", "+", "1", "2", "3", "4", "|", "_")

REGION_FILLS = {Region.BETTER: PALETTE[0], Region.EQUIVALENT: PALETTE[2], Region.WORSE: PALETTE[1]}
"""What says nothing has no colour."""
GROUP_COLOURS = {Group.REQUEST: PALETTE[0], Group.SERVER: PALETTE[4], Group.RESPONSE: PALETTE[2]}
INK_ON = {Group.REQUEST: "#ffffff", Group.SERVER: "#111111", Group.RESPONSE: "#111111"}
"""What is read on each colour of a group."""
ARROWS = {Group.REQUEST: "→", Group.SERVER: "●", Group.RESPONSE: "←"}
"""Before the name of a hop: on the way there, at the server, on the way back."""
