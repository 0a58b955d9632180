"""What all entries of the configuration have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Entry(BaseModel):
    """A mapping in a configuration file: unknown keys are errors, values keep their types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def settings(self) -> dict[str, Any]:
        """The entry as plain values, defaults filled in."""
        return self.model_dump(mode="json")


Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Count = Annotated[int, Field(ge=1)]
