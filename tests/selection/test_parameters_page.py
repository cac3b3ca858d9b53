"""The page of advice on parameters, and the warnings that lead to it."""

from __future__ import annotations

import re
from pathlib import Path

from tsds_stream.selection import exactness

SELECTION = Path(exactness.__file__).parent


def test_every_warning_leads_to_a_section_of_the_page() -> None:
    codes = set(re.findall(r'Notice\(\s*"(\w+)"', Path(exactness.__file__).read_text()))
    sections = set(re.findall(r"^### (\w+)$", (SELECTION / "PARAMETERS.md").read_text(), re.MULTILINE))
    assert codes == sections
    assert len(codes) > 5
