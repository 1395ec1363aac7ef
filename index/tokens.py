"""Text -> the words that the keyword index and the checks compare. Pure.

Chinese and Japanese are written without spaces, and a particle clings to a Korean noun. So a run of
their characters counts as its overlapping pairs, as in Lucene's CJKBigramFilter: a word of two
characters is found wherever it stands, and no dictionary is needed.
"""

from __future__ import annotations

import re

UNSPACED = re.compile(
    "[\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7a3]+"  # Hangul syllables
)
WORD = re.compile(r"[^\W_]+")


def space_out(text: str) -> str:
    """Write the runs of scripts without spaces as pairs: "投资计划" as " 投资 资计 计划 "."""
    return UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", text)


def tokenize(text: str) -> list[str]:
    """Split a question into lower-case words, as FTS5's unicode61 does with spaced out text."""
    return WORD.findall(space_out(text).lower())


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]
