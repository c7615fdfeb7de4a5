"""The board's part about assets: Datanets and models, under ids that bind who registered them."""

from typing import Any

from protocol.ids import datanet_id, model_id
from protocol.seams import Event
from tasks.entries import DatanetEntry


class AssetFold:
    """Handlers of the registry's events about assets; ``Board`` holds what they fold."""

    owners: list[bytes]
    datanets: dict[bytes, DatanetEntry]
    models: dict[bytes, int]

    def _on_DatanetRegistered(self, event: Event, time: int, args: dict[str, Any]) -> None:
        founder, content = self.owners[args["owner"]], args["content"]
        assert args["id"] == datanet_id(founder, content), "a Datanet's id binds its founder"
        self.datanets[args["id"]] = DatanetEntry(founder, content, args["dataClass"])

    def _on_ModelRegistered(self, event: Event, time: int, args: dict[str, Any]) -> None:
        builder = self.owners[args["owner"]]
        assert args["id"] == model_id(builder, args["content"]), "a model's id binds its builder"
        self.models[args["id"]] = args["owner"]
