"""The one exception for mistakes of the person who runs a command."""


class InputError(ValueError):
    """Input that can't be used. `str()` is one line: what is wrong, where, what to do.

    Binaries print it and exit with code 2 (`data_pipeline.command.run`); every other exception is a defect of
    ours and keeps its traceback.
    """

    def __init__(self, what: str, where: object = None, do: str = ""):
        parts = [what if where is None else f"{where}: {what}", do]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))
