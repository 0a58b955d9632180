"""What can be chosen about a training."""

from dataclasses import dataclass, fields

from lcrp.errors import InputError

# What makes the models of the embedded dataset good enough in about two minutes.
DEFAULTS = {
    "segmentation": {"steps": 1600, "batch_size": 4, "learning_rate": 1e-3},
    "detection": {"steps": 1500, "batch_size": 16, "learning_rate": 2e-3},
}


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of a training.

    Attributes:
        seed: start of the random numbers of weights, order and flips.
        steps: number of optimisation steps.
        batch_size: samples per step.
        learning_rate: the highest one; it rises for a fifth of the steps and then falls.
    """

    seed: int
    steps: int
    batch_size: int
    learning_rate: float

    def __post_init__(self):
        for name in ("seed", "steps", "batch_size"):
            value = getattr(self, name)
            if type(value) is not int or value < (0 if name == "seed" else 1):
                raise InputError(f"training.{name}: {value!r} cannot be used; give a whole number")
        if not 0 < self.learning_rate < 1:
            raise InputError(
                f"training.learning_rate: {self.learning_rate!r} cannot be used; "
                "give a number between 0 and 1, such as 0.001"
            )

    @classmethod
    def from_config(cls, config, task):
        """Options from a dict; what is missing or None gets the default of the task.

        Args:
            config: dict, or `TrainingOptions`, which are returned as they are.
            task: "segmentation" or "detection".

        Raises:
            InputError: for an unknown name or a value that cannot be used.
        """
        if isinstance(config, cls):
            return config
        names = [field.name for field in fields(cls)]
        for name in config:
            if name not in names:
                raise InputError(f"training.{name}: no such setting; choose from {names}")
        given = {name: value for name, value in config.items() if value is not None}
        return cls(**({"seed": 0} | DEFAULTS[task] | given))
