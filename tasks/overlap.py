"""Words of a text, and whether a query has any in common with its fragment."""

import re
from collections.abc import Iterable
from itertools import pairwise

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORDS = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+")

# Words that carry grammar rather than content.
_STOPWORDS = """
a about above after again all also am an and any are as at be because been before being below
between both but by can could did do does doing down each few for from had has have having he her
here him his how i if in into is it its just let me more most my no nor not now of off on once
only or other our out over own s same she should so some such t than that the their them then
there these they this those through to too under until up us very was we were what when where
which while who whom why will with would you your
"""
STOPWORDS = frozenset(_STOPWORDS.split())


def words(text: str) -> list[str]:
    """Lower-case words; scripts without spaces as characters and overlapping pairs of them.

    (That is Lucene's CJK bigram filter with single characters kept: no dictionary, no segmentation to
    get wrong, and a query of one character still finds something.)
    """
    found: list[str] = []
    for run in _WORDS.findall(text.lower()):
        if re.match(f"[{_CJK}]", run):
            found += [*run, *(first + second for first, second in pairwise(run))]
        else:
            found.append(run)
    return found


def content_words(text: str) -> set[str]:
    """Words other than English stopwords; of scripts without spaces, the pairs of characters.

    (A single Chinese character is too short to tell a content word; a pair may span two words, so
    that an overlap is found rather too often than too rarely.)
    """
    return {
        word
        for word in words(text)
        if word not in STOPWORDS and not (len(word) == 1 and re.match(f"[{_CJK}]", word))
    }


def shares_content_word(query: str, texts: Iterable[str]) -> bool:
    """Whether any content word of the query stands in any of the texts."""
    asked = content_words(query)
    return any(asked & content_words(text) for text in texts)
