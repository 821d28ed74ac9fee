"""Terms over a data set: every count is one a person can check."""

from data.term_list import entries
from data.term_report import report_terms

TEXTS = ["SM4 加密，SM4 解密", "SM4 与 SM2", "依据 GB/T 39768-2021 使用 SM2", "无关", "0123456789abcdef0123456789abcdef"]


def test_terms_are_counted_by_occurrence_and_record():
    """A term said twice in a text counts twice as an occurrence and once as a record; values are none."""
    report = report_terms(TEXTS)
    counted = {term.name: (term.occurrences, term.records) for term in report.terms}

    assert (report.records, report.with_terms) == (5, 3)
    assert counted == {"SM4": (3, 2), "SM2": (2, 2), "加密": (1, 1), "解密": (1, 1), "GB/T 39768-2021": (1, 1)}


def test_pairs_say_how_much_they_belong_together():
    """Together in one of five texts, where each is in two: 1.25 times what chance would give."""
    pairs = {(pair.one, pair.other): (pair.records, pair.lift) for pair in report_terms(TEXTS).pairs}

    assert pairs["SM2", "SM4"] == (1, 1.25) and pairs["加密", "解密"] == (1, 5.0)


def test_coverage_is_over_the_whole_list():
    """Each category tells how much of the list occurs."""
    coverage = {one.category: one for one in report_terms(TEXTS).coverage}

    assert sum(one.listed for one in coverage.values()) == len(entries())
    assert (coverage["general"].found, coverage["symmetric"].occurrences, coverage["attack"].found) == (2, 3, 0)


def test_doubtful_standards_come_with_reason_and_records():
    """A number that does not exist is told with what is probably meant."""
    (doubtful,) = report_terms(TEXTS).doubtful

    assert (doubtful.name, doubtful.records) == ("GB/T 39768-2021", [3]) and "39786" in doubtful.reason
