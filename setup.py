"""One installable package: programs and data pipeline lie inside of afjax, where `afjax.__main__` finds them."""

from setuptools import find_packages, setup

PROGRAMS = ("experiments", "data_pipeline")
INSIDE = "afjax.programs"

setup(
    packages=find_packages(include=["afjax", "afjax.*"])
    + [
        f"{INSIDE}.{name}"
        for name in find_packages(include=[f"{top}{part}" for top in PROGRAMS for part in ("", ".*")])
    ],
    package_dir={f"{INSIDE}.{top}": top for top in PROGRAMS},
)
