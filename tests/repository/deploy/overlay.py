"""The overlays of deploy/kubernetes, rendered by kubectl."""

from typing import Any

import yaml

from tests.image.stack import run
from tests.support.service import ROOT


FOLDER = ROOT / "deploy/kubernetes"
OVERLAYS = ["staging", "production"]


class Overlay:
    """A rendered overlay."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = run("kubectl", "kustomize", FOLDER / "overlays" / name)
        self.objects = list(yaml.safe_load_all(self.text))

    def __getitem__(self, kind: str) -> Any:
        """Return the only object of a kind."""
        (found,) = (item for item in self.objects if item["kind"] == kind)
        return found

    @property
    def pod(self) -> Any:
        """The pod template's spec."""
        return self["Deployment"]["spec"]["template"]["spec"]

    @property
    def container(self) -> Any:
        """The only container of the pod."""
        (container,) = self.pod["containers"]
        return container

    @property
    def given(self) -> dict[str, str]:
        """The container's variables. Its own override those of the ConfigMap."""
        own = {entry["name"]: entry["value"] for entry in self.container["env"]}
        return {**self["ConfigMap"]["data"], **own}
