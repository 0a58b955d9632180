"""What counts the bytes that come in, where nobody watches."""


class Silent:
    """A meter that shows nothing.

    A meter is made by a function with these arguments of `tqdm.tqdm`, and used as it is used
    there; `functools.partial(tqdm, unit="B", unit_scale=True)` shows bars.

    Args:
        desc: what is going on.
        total: bytes there will be, or None.
        initial: bytes that are there already.
        delay: seconds before it is worth showing.
    """

    def __init__(self, desc: str, total: int | None = None, initial: int = 0, delay: float = 0):
        self.total, self.n = total, initial

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def update(self, number: int) -> None:
        """Count further bytes."""
        self.n += number

    def refresh(self) -> None:
        """Show `n` of `total` now, after they were set."""
