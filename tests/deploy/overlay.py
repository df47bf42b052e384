"""An overlay of deploy/kubernetes, as kubectl renders it."""

from typing import Any

import yaml

from tests.image.stack import run
from tests.service import ROOT


FOLDER = ROOT / "deploy/kubernetes"
OVERLAYS = ["staging", "production"]


class Overlay:
    """One of the overlays, rendered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.file = FOLDER / "overlays" / name / "kustomization.yaml"
        self.text = run("kubectl", "kustomize", self.file.parent)
        self.objects = list(yaml.safe_load_all(self.text))

    def __getitem__(self, kind: str) -> Any:
        """The one object of a kind."""
        (found,) = (known for known in self.objects if known["kind"] == kind)
        return found

    @property
    def pod(self) -> Any:
        """What each pod is to be."""
        return self["Deployment"]["spec"]["template"]["spec"]

    @property
    def container(self) -> Any:
        """The one container of a pod."""
        (container,) = self.pod["containers"]
        return container

    @property
    def given(self) -> dict[str, str]:
        """The variables of the container; its own go before those of the map."""
        own = {entry["name"]: entry["value"] for entry in self.container["env"]}
        return {**self["ConfigMap"]["data"], **own}
