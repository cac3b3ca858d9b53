"""Writes the dashboards of this folder, or checks that they are what this code gives.

    python -m deploy.grafana.generate            writes dashboards/*.json
    python -m deploy.grafana.generate --check    says which of them differ, and ends with 1

From the root of the repository, with `pip install 'grafana-foundation-sdk==1769699379!11.6.0'`. The classes of that
package are Grafana's schema: what is written has been read back by them without loss.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as schema

from deploy.grafana.operations import operations
from deploy.grafana.runbook import runbook
from deploy.grafana.selection import selection

FOLDER = Path(__file__).resolve().parent / "dashboards"


def as_text(made: object) -> str:
    """The JSON of a dashboard, the same for the same code."""
    return json.dumps(made, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def dashboards() -> dict[Path, str]:
    """File and content of each dashboard.

    Raises:
        ValueError: Grafana's schema does not know something in it.
    """
    register_default_plugins()
    found = {}
    for builder in (operations(), selection(), runbook()):
        made = builder.build()
        for number, panel in enumerate(_panels(made), 1):
            panel.id_val = panel.id_val or number
        content = as_text(made)
        if as_text(schema.Dashboard.from_json(json.loads(content))) != content:
            raise ValueError(f"{made.title}: Grafana's schema does not know all of it")
        found[FOLDER / f"{str(made.uid).removeprefix('tsds-stream-')}.json"] = content
    return found


def _panels(made: schema.Dashboard) -> list[schema.Panel | schema.RowPanel]:
    outer = list(made.panels or ())
    return outer + [inner for row in outer if isinstance(row, schema.RowPanel) for inner in row.panels]


def main(words: list[str]) -> int:
    found = dashboards()
    if "--check" not in words:
        for path, content in found.items():
            path.write_text(content)
        return 0
    others = set(FOLDER.glob("*.json")) - set(found)
    differ = [path.name for path, content in found.items() if not path.exists() or path.read_text() != content]
    for name in sorted(differ + [path.name for path in others]):
        print(f"dashboards/{name} is not what the code gives: run python -m deploy.grafana.generate")
    return 1 if differ or others else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
