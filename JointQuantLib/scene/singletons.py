"""Nodes of which a scene holds one: views, their layers, the layout and the selection."""

from __future__ import annotations


def add_singleton(scene, class_name: str, layout_name: str | None = None):
    """A node of which a scene holds one for each layout name, with the scene's defaults for its class."""
    node = scene.CreateNodeByClass(class_name)
    node.UnRegister(None)  # CreateNodeByClass hands its reference over
    if layout_name is not None:
        node.SetName(layout_name)
        node.SetLayoutName(layout_name)
    if node.GetSingletonTag() is None:
        node.SetSingletonTag(layout_name or "Singleton")
    return scene.AddNode(node)
