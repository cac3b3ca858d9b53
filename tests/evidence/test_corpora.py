"""Where texts and code are cut, and what is said of the packages that they come from."""

from __future__ import annotations

from benchmarks.evidence.corpora import Corpus
from benchmarks.evidence.corpora.code import LONGEST, chunks
from benchmarks.evidence.corpora.packages import licences
from benchmarks.passages import file_passages


def test_chunks_of_code_keep_their_white_space_and_leave_licences_out():
    function = "def f(x):\n    if x:\n        return {}\n    return 1" + "  # padding" * 30
    source = f"# Copyright 2020 somebody\n{'# words ' * 60}\n\n{function}\n\n\n{function}\n"
    found = list(chunks(source))
    assert found
    assert all("Copyright" not in chunk for chunk in found)
    assert any("\n        return {}\n" in chunk for chunk in found)
    assert all(len(chunk) <= 2 * LONGEST for chunk in found)


def test_short_pieces_of_code_are_joined_and_long_ones_cut_at_line_ends():
    lines = [f"value_{number} = compute({number})" for number in range(200)]
    assert all(len(chunk) <= LONGEST for chunk in chunks("\n".join(lines)))
    pieces = list(chunks("\n\n".join(lines)))
    assert all("\n\n" in chunk for chunk in pieces)
    assert "\n".join(lines[:20]) in "\n".join(chunks("\n".join(lines)))


def test_passages_of_a_page_are_prose_of_the_lengths_that_were_asked_for():
    sentence = "The selection holds the documents that the targets are nearest to, and no others. "
    page = f"<html><body><p>{sentence * 12}</p><script>var x = 1;</script><p>1 2 3 4 5</p></body></html>".encode()
    found = list(file_passages("page.html", page, 250, 700))
    assert len(found) == 2
    assert all(250 <= len(passage) <= 700 and "var x" not in passage for passage in found)


def test_the_licence_of_all_files_is_read_from_a_copyright_file_in_fields():
    fields = (
        "Format: 1.0\n\nFiles: *\nCopyright: 2020 A\nLicense: GPL-2+\n\nFiles: b/*\nLicense: Expat\n Permission …\n"
    )
    assert licences(fields) == "GPL-2+"


def test_the_licences_that_free_words_name_are_listed():
    assert licences("You may use this under the GNU Free Documentation License.") == "GFDL"
    assert licences("Nothing is said.") == ""


def test_a_corpus_knows_the_rows_of_each_domain(small_corpus: Corpus):
    rows = small_corpus.of_domain["fish"]
    assert all(small_corpus.names[small_corpus.domains[row]] == "fish" for row in rows)
    assert sum(map(len, small_corpus.of_domain.values())) == len(small_corpus.texts)
