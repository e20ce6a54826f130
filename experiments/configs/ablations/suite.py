"""Suites of ablations, and their cells: configurations that differ from a base in one thing."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """A model that is trained, or sampled anew, and measured.

    Attributes:
      name: its row of the table.
      config: file of `experiments/configs` and its variant, "quickstart" or "dpo:control".
      changes: settings by dotted name, over the suite's base and that file.
      tunes: the cell whose model is tuned by preferences.
      losing: the cell whose model makes the losing samples.
      user: what that model is given in place of the user, a choice of `experiments.make_preferences --user`.
      samples: the cell whose model is sampled with other settings; nothing is trained.
      taught_by: the cell whose model is distilled.
      listening: share of the time that the avatar listens in the training conversations, which are simulated for the
        suite (`data_pipeline.build --listening`); all cells are then measured where it only listens. 0: the suite's
        data.
      against: the cell that it is compared with, its control; "": the suite's first.
    """

    name: str
    config: str = "quickstart"
    changes: dict = field(default_factory=dict)
    tunes: str = ""
    losing: str = ""
    user: str = "dropped"
    samples: str = ""
    taught_by: str = ""
    listening: float = 0.0
    against: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether its training starts from another cell's model; its length is then its configuration's."""
        return bool(self.tunes or self.taught_by)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the cells that come first."""
        return tuple(filter(None, dict.fromkeys((self.tunes, self.losing, self.samples, self.taught_by))))


@dataclass(frozen=True)
class Suite:
    """Cells to compare; `base` settings hold for all whose file is the quickstart.

    `smiles`: most smiles per held-out conversation by which every cell's reaction latency is measured; 0: it is not.
    Only simulated conversations have it.
    """

    cells: tuple[Cell, ...]
    base: dict = field(default_factory=dict)
    about: str = ""
    smiles: int = 0

    def __getitem__(self, name: str) -> Cell:
        return next(cell for cell in self.cells if cell.name == name)
