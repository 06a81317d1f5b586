"""What pyproject.toml cannot say: in a wheel, the repository's folder data/ is a part of the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["course_utils", "course_utils.*"]), "course_utils.data"],
    package_dir={"course_utils.data": "data"},
    package_data={"course_utils.data": ["**/*"]},  # whatever is put there later, too
)
