"""What every table of the configuration has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A section of the settings tree: it cannot be changed, knows all its options, and checks its own defaults."""

    # Errors do not repeat what they were given: it may be a password.
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, hide_input_in_errors=True
    )
