"""What every word between controller, load generator and workers is: a line of JSON."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """One line, of either side."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        # A request's body may be any bytes, which are no text.
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )

    def line(self) -> str:
        """As it is sent."""
        return self.model_dump_json() + "\n"
