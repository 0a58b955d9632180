"""Limits on how many images may fail."""

from collections.abc import Mapping

import pandas as pd

from lcrp.errors import InputError

WORDS = {"unreadable": "cannot be read", "no-target": "have nothing that is explained"}


def require_limits(
    images: pd.DataFrame, limits: Mapping[str, float | None] | None, source: object
) -> None:
    """Check that no larger share of the images failed than is allowed.

    Args:
        images: with the columns id and status.
        limits: {"unreadable" or "no_target": share of the images between 0 and 1, or None for no
            limit}.
        source: the file that the error names.

    Raises:
        InputError: more failed.
    """
    for name, limit in (limits or {}).items():
        status = name.replace("_", "-")
        failed = images.loc[images["status"] == status, "id"]
        if limit is not None and len(failed) > limit * len(images):
            raise InputError(
                f"{source}: {len(failed)} of {len(images)} images {WORDS[status]} "
                f"({', '.join(failed[:3])}{', ...' if len(failed) > 3 else ''}), more than "
                f"analysis.limits.{name}: {limit} allows; mend them, or raise the limit"
            )
